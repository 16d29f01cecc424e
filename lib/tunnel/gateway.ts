import type { CallContext, CallOptions } from "./handler.ts";

/**
 * The seam between the manager and whatever brings edges to it: the embedded broker, or a real
 * frontier broker between them. The manager sees the same events and the same texts either way.
 */

/** Message of the error of a call to an edge that is not connected. */
export const EDGE_NOT_ONLINE = "edge not online";

/** Message of the error of a call that got no answer in time; the edge may still be at work. */
export const CALL_TIMEOUT = "timeout";

/** Message of the error of a call whose edge went away before it answered. */
export const CALL_FORCE_CLOSED = "force closed";

/** One connection of an edge. */
export interface EdgePeer {
  /** 64 bits, unsigned. */
  readonly edgeId: bigint;
  /** What the edge introduced itself with: JSON of its access key and secret key. */
  readonly meta: Uint8Array;
  /** `tcp`, over TLS as well. */
  readonly net: string;
  /** Remote `address:port`; tells several connections of one edge apart. */
  readonly address: string;
}

/**
 * What the manager answers. Errors that are thrown go to the edge: their message, verbatim.
 */
export interface GatewayHandlers {
  /** The id of the edge that introduced itself with `meta`; throws when it is nobody's. */
  getEdgeId(meta: Uint8Array): Promise<bigint>;
  /** An edge is about to be let in; throws to refuse it. */
  edgeOnline(peer: EdgePeer): Promise<void>;
  /**
   * A connection that was reported online is gone. When a newer connection of the same edge took
   * over, this comes after that one's `edgeOnline`: compare the address.
   */
  edgeOffline(peer: EdgePeer): void;
  /** An edge calls a method of the manager. */
  call(
    edgeId: bigint,
    method: string,
    body: Uint8Array,
    context: CallContext,
  ): Promise<Uint8Array>;
}

/** What the manager can do. */
export interface EdgeGateway {
  /**
   * Calls a method of an edge.
   *
   * @throws {RemoteError} `edge not online`, or the text that the edge answered
   * @throws {ProtocolError} kind `timeout`, message `timeout`: no answer in `timeoutMs`; kind
   * `closed`, message `force closed`: the edge went away; kind `refused`: too many calls at once
   */
  call(
    edgeId: bigint,
    method: string,
    body: Uint8Array,
    options?: CallOptions,
  ): Promise<Uint8Array>;
  /** Sends all edges away in order and stops. */
  close(): Promise<void>;
}
