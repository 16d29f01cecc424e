import { describeError, ProtocolError } from "../cli/errors.ts";
import { type Clock, withLimit } from "./clock.ts";
import type { Transport } from "./connection.ts";
import { startHeartbeat } from "./heartbeat.ts";
import type { Dispatch } from "./incoming.ts";
import { FLAG_ACQUIRE_ID, MAX_PAYLOAD_BYTES, type Packet, RET_OK } from "./packet.ts";
import { PacketIds } from "./packet_id.ts";
import { Peer, type PeerSettings } from "./peer.ts";
import type { Session } from "./session.ts";

/** How often heartbeats are sent, ms. */
const DEFAULT_HEARTBEAT_MS = 20_000;

/** The intervals that a server can be told, ms, by their code on the wire. */
const HEARTBEAT_CODES_MS = [5_000, 20_000, 80_000, 320_000];

/** How long the broker may take to accept the client, ms. */
const CONNECT_LIMIT_MS = 10_000;

/** How long the broker may take to acknowledge one method, ms. */
const REGISTER_LIMIT_MS = 10_000;

/** How a client behaves; the limits are far above what an agent needs. */
const CLIENT_SETTINGS: Omit<PeerSettings, "clock" | "ids"> = {
  maxPayloadBytes: MAX_PAYLOAD_BYTES,
  maxQueuedBytes: 32 * 1024 * 1024,
  limits: { outgoingCalls: 256, incomingCalls: 256, incomingBytes: 32 * 1024 * 1024 },
  onAbort: "wait",
  deadlines: false,
  sendCancel: false,
  messageError: "messages are not supported",
};

/** What a client is. */
export interface ClientOptions {
  readonly clock: Clock;
  /** What it introduces itself with. */
  readonly meta: Uint8Array;
  /** The methods that it announces, in this order. */
  readonly methods: readonly string[];
  /** Answers calls, of any method. */
  readonly dispatch: Dispatch;
  /** Interval of heartbeats, ms. Default 20 000, as the existing clients have it. */
  readonly heartbeatMs?: number | undefined;
  /** Gives the attempt up; once connected, leaves in order. */
  readonly signal?: AbortSignal | undefined;
}

/** The client's end of a connection to a broker, whatever kind of client it is. */
export class ClientLink {
  /** Resolves when the connection is over, whoever ended it. */
  readonly closed: Promise<{ reason: string }>;
  readonly #options: ClientOptions;
  readonly #ids: PacketIds;
  readonly #peer: Peer;
  readonly #heartbeatMs: number;
  readonly #accepted = Promise.withResolvers<bigint>();
  #clientId = 0n;
  #acceptedAt = 0;
  #why: ProtocolError | undefined;
  #cleanUp: (() => void)[] = [];

  constructor(transport: Transport, options: ClientOptions) {
    const { clock, dispatch } = options;
    this.#options = options;
    this.#heartbeatMs = options.heartbeatMs ?? DEFAULT_HEARTBEAT_MS;
    this.#ids = new PacketIds(() => clock.wall());
    this.#peer = new Peer(transport, { ...CLIENT_SETTINGS, clock, ids: this.#ids }, {
      dispatch,
      onGone: (why) => this.#gone(why),
    });
    // Lost before anybody waits for it is not an unhandled error.
    this.#accepted.promise.catch(() => {});
    this.#peer.connection.start((packet) => this.#beforeAcceptance(packet));
    this.closed = this.#peer.finished().then(() => ({
      reason: describeError(this.#why ?? "closed").message,
    }));
  }

  /** The id that the broker gave. */
  get clientId(): bigint {
    return this.#clientId;
  }

  /** Calls. */
  get session(): Session {
    return this.#peer.session;
  }

  /** Time since the broker accepted this client, ms. */
  get age(): number {
    return this.#options.clock.monotonic() - this.#acceptedAt;
  }

  /**
   * Introduces itself, waits to be accepted, starts the heartbeat, announces the methods one at a
   * time. Leaves nothing open when it fails.
   *
   * @throws {ProtocolError} kind `refused`, with the broker's text as the message, when it says no
   */
  async enter(): Promise<void> {
    const { clock, signal, methods } = this.#options;
    const onAbort = () => void this.close();
    signal?.addEventListener("abort", onAbort, { once: true });
    this.#cleanUp.push(() => signal?.removeEventListener("abort", onAbort));
    const late = () => new ProtocolError("The broker did not answer in time", { kind: "timeout" });
    try {
      signal?.throwIfAborted();
      this.#introduce();
      this.#clientId = await withLimit(clock, CONNECT_LIMIT_MS, this.#accepted.promise, late);
      this.#startHeartbeat();
      for (const method of methods) await this.session.register(method, REGISTER_LIMIT_MS);
      signal?.throwIfAborted();
    } catch (error) {
      await this.#giveUp(error);
      if (signal?.aborted) throw signal.reason;
      throw error;
    }
  }

  /** Leaves in order; see {@linkcode Peer.close}. */
  async close(): Promise<void> {
    await this.#peer.close("closed on this side");
  }

  #introduce(): void {
    const code = HEARTBEAT_CODES_MS.findIndex((ms) => ms >= this.#heartbeatMs);
    this.#peer.connection.send({
      type: "Conn",
      packetId: this.#ids.next(),
      flags: FLAG_ACQUIRE_ID | (code < 0 ? HEARTBEAT_CODES_MS.length - 1 : code) << 4,
      wantedId: 0n,
      body: { meta: this.#options.meta },
    });
  }

  #beforeAcceptance(packet: Packet): void {
    if (packet.type === "DisConn") {
      throw new ProtocolError("The broker closed the connection", { kind: "closed" });
    }
    if (packet.type !== "ConnAck") return;
    this.#peer.connection.handOver((next) => this.#peer.receive(next));
    if (packet.ret !== RET_OK || packet.body.error !== undefined) {
      const text = packet.body.error ?? "refused without a reason";
      this.#accepted.reject(new ProtocolError(text, { kind: "refused" }));
    } else {
      this.#acceptedAt = this.#options.clock.monotonic();
      this.#accepted.resolve(packet.clientId);
    }
  }

  #startHeartbeat(): void {
    if (this.#why !== undefined) return;
    this.#cleanUp.push(startHeartbeat({
      clock: this.#options.clock,
      intervalMs: this.#heartbeatMs,
      connection: this.#peer.connection,
      ids: this.#ids,
    }));
  }

  /** A broker that said no is told goodbye; one that did not answer is left. */
  async #giveUp(error: unknown): Promise<void> {
    const why = error instanceof ProtocolError
      ? error
      : new ProtocolError("given up", { kind: "closed", cause: error });
    if (why.kind === "refused") await this.#peer.disconnect(why);
    else this.#peer.connection.destroy(why);
    await this.#peer.finished();
  }

  #gone(why: ProtocolError): void {
    this.#why = why;
    this.#accepted.reject(why);
    for (const cleanUp of this.#cleanUp) cleanUp();
    this.#cleanUp = [];
  }
}
