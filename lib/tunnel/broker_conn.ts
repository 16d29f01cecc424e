import { ProtocolError } from "../cli/errors.ts";
import type { BrokerLimits } from "./broker_limits.ts";
import { withLimit } from "./clock.ts";
import type { Transport } from "./connection.ts";
import type { EdgePeer, GatewayHandlers } from "./gateway.ts";
import type { CallContext, CallOptions } from "./handler.ts";
import { type ConnPacket, FLAG_ACQUIRE_ID, MAX_PAYLOAD_BYTES, type Packet } from "./packet.ts";
import { RET_ERROR, RET_OK } from "./packet.ts";
import { Peer, type PeerSettings } from "./peer.ts";

/** Edge ids are 64 bits; 0 is none. */
const MAX_EDGE_ID = 2n ** 64n - 1n;

/** What the broker does for its connections. */
export interface EdgeRegistry {
  /** Runs `work` when no other work for that edge runs: two connections of one edge take turns. */
  exclusive(edgeId: bigint, work: () => Promise<void>): Promise<void>;
  /** The connection has been let in or refused, or was lost before. Called once. */
  decided(link: EdgeLink): void;
  /** The connection is now the one of its edge; an older one is sent away. */
  enter(edgeId: bigint, link: EdgeLink): void;
  /** The connection is no longer usable. */
  leave(edgeId: bigint, link: EdgeLink): void;
  /** The connection is over. Called once. */
  forget(link: EdgeLink): void;
}

/** What the connections of one broker share. */
export interface EdgeLinkSettings extends PeerSettings {
  readonly limits: BrokerLimits;
  readonly handlers: GatewayHandlers;
  readonly registry: EdgeRegistry;
  /** Told what went wrong where nobody else is. */
  readonly warn: (message: string) => void;
}

/** One connection on the broker's side: the handshake, then calls both ways. */
export class EdgeLink {
  readonly #settings: EdgeLinkSettings;
  readonly #peer: Peer;
  readonly #address: string;
  readonly #startedAt: number;
  #state: "new" | "authenticating" | "online" | "over" = "new";
  #edge: EdgePeer | undefined;
  #edgeId = 0n;
  #silenceLimitMs = Infinity;

  /** @param address remote `address:port` */
  constructor(transport: Transport, address: string, settings: EdgeLinkSettings) {
    this.#settings = settings;
    this.#address = address;
    this.#startedAt = settings.clock.monotonic();
    this.#peer = new Peer(transport, settings, {
      dispatch: (method, body, context) => this.#dispatch(method, body, context),
      onGone: () => this.#gone(),
      onFinished: () => settings.registry.forget(this),
    });
  }

  /** Begins to read. */
  start(): void {
    this.#peer.connection.start((packet) => this.#handshake(packet));
  }

  /** Calls a method of the edge. */
  call(method: string, body: Uint8Array, options?: CallOptions): Promise<Uint8Array> {
    return this.#peer.session.call(method, body, options);
  }

  /** Sends the edge away in order; resolves when the connection is over, after 2 s at most. */
  async close(reason: string): Promise<void> {
    if (this.#state === "online") await this.#peer.close(reason);
    else this.#peer.connection.destroy(new ProtocolError(reason, { kind: "closed" }));
    await this.finished();
  }

  /** Resolves when the connection is over. */
  finished(): Promise<void> {
    return this.#peer.finished();
  }

  /** Ends the connection if it has been silent for too long; `now` on the monotonic clock, ms. */
  sweep(now: number): void {
    const { connection } = this.#peer;
    if (this.#state === "new" && now - this.#startedAt >= this.#settings.limits.handshakeMs) {
      connection.destroy(new ProtocolError("No introduction in time", { kind: "timeout" }));
    } else if (this.#state === "online" && now - connection.lastPacket >= this.#silenceLimitMs) {
      this.#peer.disconnect(new ProtocolError("No heartbeat in time", { kind: "timeout" }));
    }
  }

  /** Packets in front of the introduction are dropped, as the existing broker drops them. */
  #handshake(packet: Packet): void | Promise<void> {
    if (packet.type === "Conn") return this.#introduced(packet);
    if (packet.type === "DisConn") {
      throw new ProtocolError("The peer left before it introduced itself", { kind: "closed" });
    }
  }

  /** Nothing further is read until the edge is let in or refused: what it sends early waits. */
  async #introduced(packet: ConnPacket): Promise<void> {
    this.#state = "authenticating";
    this.#peer.connection.handOver((next) => {
      if (next.type !== "Conn") return this.#peer.receive(next);
      throw new ProtocolError("The peer introduced itself twice", { kind: "protocol" });
    });
    try {
      const edge = await this.#identify(packet);
      await this.#settings.registry.exclusive(edge.edgeId, () => this.#admit(edge, packet));
    } catch (error) {
      this.#refuse(packet.packetId, error);
    }
  }

  /**
   * Who the edge is by its secret. A client may also claim an id; the existing broker believes
   * it, which lets one enrolled edge pass for another.
   */
  async #identify(packet: ConnPacket): Promise<EdgePeer> {
    const meta = packet.body.meta ?? new Uint8Array(0);
    const edgeId = await this.#ask((handlers) => handlers.getEdgeId(meta));
    if (edgeId <= 0n || edgeId > MAX_EDGE_ID) throw new Error("illegal edgeID");
    const claims = (packet.flags & FLAG_ACQUIRE_ID) === 0;
    if (claims && packet.wantedId !== edgeId) throw new Error("edge id mismatch");
    return { edgeId, meta, net: "tcp", address: this.#address };
  }

  async #admit(edge: EdgePeer, packet: ConnPacket): Promise<void> {
    if (this.#peer.connection.why !== undefined) return;
    // From here on the manager may take the edge for online, so it is told of the end.
    this.#edge = edge;
    await this.#ask(async (handlers) => {
      try {
        await handlers.edgeOnline(edge);
      } catch (error) {
        this.#edge = undefined;
        throw error;
      }
    });
    if (this.#peer.connection.why !== undefined) return this.#offline();
    this.#become("online");
    this.#edgeId = edge.edgeId;
    this.#silenceLimitMs = 2 * heartbeatMs(packet.flags);
    this.#settings.registry.enter(edge.edgeId, this);
    this.#peer.connection.maxPayloadBytes = MAX_PAYLOAD_BYTES;
    this.#peer.connection.send({
      type: "ConnAck",
      packetId: packet.packetId,
      ret: RET_OK,
      clientId: edge.edgeId,
      body: {},
    });
  }

  /** Runs a callback of the manager, bounded. */
  #ask<T>(callback: (handlers: GatewayHandlers) => Promise<T>): Promise<T> {
    const { clock, limits, handlers } = this.#settings;
    const work = (async () => await callback(handlers))();
    const late = () => new ProtocolError("timeout", { kind: "timeout" });
    return withLimit(clock, limits.handlerMs, work, late);
  }

  #refuse(packetId: bigint, error: unknown): void {
    this.#offline();
    this.#become("over");
    const text = (error instanceof Error ? error.message : String(error)) || "refused";
    this.#peer.connection.send({
      type: "ConnAck",
      packetId,
      ret: RET_ERROR,
      clientId: 0n,
      body: { error: text },
    });
    this.#peer.disconnect(new ProtocolError(`Refused: ${text}`, { kind: "refused" }));
  }

  async #dispatch(method: string, body: Uint8Array, context: CallContext): Promise<Uint8Array> {
    if (this.#edge === undefined) throw new Error(`no such rpc: ${method}`);
    return await this.#settings.handlers.call(this.#edge.edgeId, method, body, context);
  }

  /** A newer connection of the same edge took over. The manager hears of it at once. */
  replaced(): void {
    this.close("replaced by a newer connection of the same edge");
  }

  #gone(): void {
    if (this.#state === "online") {
      this.#settings.registry.leave(this.#edgeId, this);
      this.#offline();
    }
    this.#become("over");
  }

  #become(state: "online" | "over"): void {
    const undecided = this.#state === "new" || this.#state === "authenticating";
    this.#state = state;
    if (undecided) this.#settings.registry.decided(this);
  }

  /** Tells the manager once, and only of what it was told to be online. */
  #offline(): void {
    const edge = this.#edge;
    this.#edge = undefined;
    if (edge === undefined) return;
    try {
      this.#settings.handlers.edgeOffline(edge);
    } catch (error) {
      this.#settings.warn(`edge_offline of edge ${edge.edgeId} failed: ${error}`);
    }
  }
}

/** The interval that a client announces: 5 s, times four for each step of the code, ms. */
function heartbeatMs(flags: number): number {
  return 5_000 * 4 ** ((flags >> 4) & 3);
}
