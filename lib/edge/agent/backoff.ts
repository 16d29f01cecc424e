/** How long the agent waits before it tries the manager again. */

/** First wait in milliseconds. */
export const FIRST_WAIT_MS = 1_000;

/** Longest wait in milliseconds: a fleet is back within a minute of its manager. */
export const LONGEST_WAIT_MS = 60_000;

/**
 * Exponential waits with jitter: after n failures between half and all of `1 s * 2^n`, at most
 * 60 s, so that a fleet does not come back to a restarted manager in one moment.
 */
export class Backoff {
  #failures = 0;
  readonly #random: () => number;

  constructor(random: () => number) {
    this.#random = random;
  }

  /** The next wait in milliseconds. */
  next(): number {
    const full = Math.min(FIRST_WAIT_MS * 2 ** this.#failures, LONGEST_WAIT_MS);
    if (full < LONGEST_WAIT_MS) this.#failures++;
    return full * (0.5 + this.#random() / 2);
  }

  /** A wait at the slow end, where trying sooner cannot help. */
  slow(): number {
    return LONGEST_WAIT_MS * (0.5 + this.#random() / 2);
  }

  /** Begins at the first wait again, after a connection that proved good. */
  reset(): void {
    this.#failures = 0;
  }
}
