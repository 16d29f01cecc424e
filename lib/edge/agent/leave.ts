/** Why and when the agent ends. */

import type { AgentEffects } from "./effects.ts";

/** How the agent ends. */
export interface Departure {
  /** 0: to be upgraded or stopped; 75: probation was given up. */
  readonly exitCode: number;
  /** One sentence for the log. */
  readonly reason: string;
}

/**
 * The agent's decision to end, taken once, by whoever comes first: a signal, `apply_package`, the
 * grace period after a fetched bundle, or probation.
 */
export class Leave {
  readonly #controller = new AbortController();
  readonly #sleep: AgentEffects["sleep"];
  #departure: Departure | undefined;
  #grace: AbortController | undefined;

  constructor(sleep: AgentEffects["sleep"]) {
    this.#sleep = sleep;
  }

  /** Aborted when the agent ends. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Undefined as long as the agent stays. */
  get departure(): Departure | undefined {
    return this.#departure;
  }

  /** Ends the agent; the first call counts. */
  now(departure: Departure): void {
    this.#departure ??= departure;
    this.#grace?.abort();
    this.#controller.abort();
  }

  /**
   * Ends the agent when the handler that calls this has returned and its answer is on its way:
   * in a later turn of the event loop.
   */
  afterReply(departure: Departure): void {
    void this.#sleep(0, this.signal).then(() => this.now(departure));
  }

  /** Ends the agent after a while, unless {@linkcode cancel} is called before. Once is enough. */
  after(milliseconds: number, departure: Departure): void {
    if (this.#grace || this.signal.aborted) return;
    const grace = new AbortController();
    this.#grace = grace;
    void this.#sleep(milliseconds, grace.signal).then(() => {
      if (this.#grace === grace && !grace.signal.aborted) this.now(departure);
    });
  }

  /** True while {@linkcode after} counts down. */
  get pending(): boolean {
    return this.#grace !== undefined && !this.signal.aborted;
  }

  /** Takes {@linkcode after} back. */
  cancel(): void {
    this.#grace?.abort();
    this.#grace = undefined;
  }
}
