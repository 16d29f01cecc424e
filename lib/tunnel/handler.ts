/** What the answering side of a call knows beside the body. */
export interface CallContext {
  /**
   * Aborted when nobody waits for the answer any more: the caller cancelled, its deadline passed,
   * or the connection is gone. Its reason is an Error.
   */
  readonly signal: AbortSignal;
  /** When the caller gives up, if it said so. */
  readonly deadline?: Date;
}

/**
 * Answers calls of one method. What it throws goes to the caller: the message of the error,
 * verbatim.
 */
export type Handler = (body: Uint8Array, context: CallContext) => Promise<Uint8Array>;

/** Options of a call. */
export interface CallOptions {
  /** How long to wait for the answer, ms. Default 30 000, the limit of the existing broker. */
  readonly timeoutMs?: number;
  /** Gives the answer up; the call rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

/** How long a call may take when its caller does not say, ms. */
export const DEFAULT_CALL_MS = 30_000;
