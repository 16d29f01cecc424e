import { ProtocolError, RemoteError } from "../cli/errors.ts";
import { deadlineText } from "./body.ts";
import { type Clock, MAX_TIMER_MS } from "./clock.ts";
import { type CallOptions, DEFAULT_CALL_MS } from "./handler.ts";
import { CANCELLED, type DataBody, MAIN_SESSION, type Packet } from "./packet.ts";
import type { PacketIds } from "./packet_id.ts";

const encoder = new TextEncoder();
const NO_BYTES = new Uint8Array(0);

/** Where the two halves of a session put their packets; a `Connection` is one. */
export interface PacketLink {
  send(packet: Packet): void;
  /** Resolves when there is room for more. */
  writable(): Promise<void>;
}

/** How {@linkcode OutgoingCalls} behaves; one object may serve many connections. */
export interface OutgoingSettings {
  readonly ids: PacketIds;
  readonly clock: Clock;
  readonly limits: {
    /** Most calls and registrations made here that may wait for their answers. */
    readonly outgoingCalls: number;
  };
  /**
   * Whether calls carry a deadline. The existing broker sets one on what it sends to edges; edges
   * send none, because a host whose clock is ahead would have all its calls refused.
   */
  readonly deadlines: boolean;
  /**
   * Whether a call that is given up is taken back on the wire. Peers with older libraries drop
   * the connection when they see that packet.
   */
  readonly sendCancel: boolean;
}

/** Options of a call as a session makes it. */
export interface SessionCallOptions extends CallOptions {
  /** Routing bytes; the service side of a broker names the edge with them. */
  readonly custom?: Uint8Array;
}

interface Waiting {
  answer(body: DataBody): void;
  fail(error: unknown): void;
}

/** The calling half of a session: calls made here, answered by the peer, in any order. */
export class OutgoingCalls {
  readonly #settings: OutgoingSettings;
  readonly #link: PacketLink;
  readonly #waiting = new Map<bigint, Waiting>();
  #closed: ProtocolError | undefined;

  constructor(settings: OutgoingSettings, link: PacketLink) {
    this.#settings = settings;
    this.#link = link;
  }

  /** Calls and registrations that wait for an answer. */
  get size(): number {
    return this.#waiting.size;
  }

  /**
   * Calls a method of the peer.
   *
   * @throws {RemoteError} the peer answered with an error; the message is its text
   * @throws {ProtocolError} `timeout`: no answer in time, message `timeout`; `closed`: the
   * connection ended first, message `force closed`; `refused`: too many calls at once
   */
  call(method: string, value: Uint8Array, options: SessionCallOptions = {}): Promise<Uint8Array> {
    const { clock, deadlines } = this.#settings;
    const ms = options.timeoutMs ?? DEFAULT_CALL_MS;
    const body: DataBody = { key: encoder.encode(method), value };
    if (options.custom !== undefined) body.custom = options.custom;
    // What no timer can measure is no deadline.
    if (deadlines && ms <= MAX_TIMER_MS) body.deadline = deadlineText(clock.wall() + ms);
    const packetId = this.#settings.ids.next();
    const request: Packet = { type: "Request", packetId, sessionId: MAIN_SESSION, body };
    return this.#exchange(request, ms, options.signal);
  }

  /** Announces a method to the peer. Rejects as {@linkcode call} does. */
  async register(method: string, timeoutMs: number): Promise<void> {
    const packetId = this.#settings.ids.next();
    const packet: Packet = { type: "Register", packetId, sessionId: MAIN_SESSION, method };
    await this.#exchange(packet, timeoutMs, undefined);
  }

  /** Takes an answer; one that nobody waits for is dropped. */
  answer(packetId: bigint, body: DataBody): void {
    this.#waiting.get(packetId)?.answer(body);
  }

  /** Fails all calls, now and later. */
  close(why: ProtocolError): void {
    if (this.#closed !== undefined) return;
    this.#closed = new ProtocolError("force closed", { kind: "closed", cause: why });
    for (const waiting of [...this.#waiting.values()]) waiting.fail(this.#closed);
  }

  async #exchange(packet: Packet, ms: number, signal?: AbortSignal): Promise<Uint8Array> {
    signal?.throwIfAborted();
    if (this.#closed !== undefined) throw this.#closed;
    if (this.#waiting.size >= this.#settings.limits.outgoingCalls) {
      throw new ProtocolError(
        `Cannot call the peer: ${this.#waiting.size} calls wait for it already`,
        { kind: "refused", hint: "Wait for some of them, then try again." },
      );
    }
    const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
    const onAbort = () => {
      reject(signal?.reason);
      if (this.#settings.sendCancel) this.#cancel(packet.packetId);
    };
    this.#waiting.set(packet.packetId, {
      answer: (body) => body.error ? reject(new RemoteError(body.error)) : resolve(valueOf(body)),
      fail: reject,
    });
    const stopTimer = this.#settings.clock.after(
      ms,
      () => reject(new ProtocolError("timeout", { kind: "timeout" })),
    );
    signal?.addEventListener("abort", onAbort, { once: true });
    try {
      this.#send(packet, reject);
      return await promise;
    } finally {
      stopTimer();
      signal?.removeEventListener("abort", onAbort);
      this.#waiting.delete(packet.packetId);
    }
  }

  /** Sends when there is room, unless the call is over by then. */
  async #send(packet: Packet, reject: (error: unknown) => void): Promise<void> {
    try {
      await this.#link.writable();
      if (this.#waiting.has(packet.packetId)) this.#link.send(packet);
    } catch (error) {
      reject(error);
    }
  }

  #cancel(packetId: bigint): void {
    this.#link.send({
      type: "RequestCancel",
      packetId,
      sessionId: MAIN_SESSION,
      cancel: CANCELLED,
    });
  }
}

function valueOf(body: DataBody): Uint8Array {
  return body.value ?? NO_BYTES;
}
