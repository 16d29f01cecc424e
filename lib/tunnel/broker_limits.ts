import type { SessionLimits } from "./session.ts";

/**
 * What the broker allows, so that no peer can exhaust it: per process, per address, or (calls and
 * bytes, from {@linkcode SessionLimits} too) per edge.
 */
export interface BrokerLimits extends SessionLimits {
  /** Connections in all. */
  readonly connections: number;
  /** Connections from one address; whole fleets come from one address behind a NAT. */
  readonly connectionsPerAddress: number;
  /** Connections from one address that have not been let in yet. */
  readonly handshakesPerAddress: number;
  /** Time to the first Conn packet (TLS handshake included), ms. */
  readonly handshakeMs: number;
  /** Longest payload before an edge is let in, bytes: access key and secret key. */
  readonly handshakeBytes: number;
  /** How long the manager may take for one callback or one call of an edge, ms. */
  readonly handlerMs: number;
  /** Bytes that may wait for one edge that does not read. */
  readonly queuedBytes: number;
}

/** The limits where the caller gives none; the two times are those of the existing broker. */
export const DEFAULT_BROKER_LIMITS: BrokerLimits = {
  connections: 20_000,
  connectionsPerAddress: 10_000,
  handshakesPerAddress: 1_000,
  handshakeMs: 10_000,
  handshakeBytes: 64 * 1024,
  handlerMs: 30_000,
  outgoingCalls: 256,
  incomingCalls: 64,
  incomingBytes: 16 * 1024 * 1024,
  queuedBytes: 32 * 1024 * 1024,
};
