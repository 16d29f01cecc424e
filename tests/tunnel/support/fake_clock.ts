import type { Clock } from "../../../lib/tunnel/clock.ts";

interface Timer {
  at: number;
  run: () => void;
}

/** Time that passes only when a test says so. */
export class FakeClock implements Clock {
  #now = 1_000_000;
  #timers = new Set<Timer>();
  readonly #wallStart: number;

  /** @param wallStart milliseconds since 1970 at the beginning */
  constructor(wallStart = Date.parse("2026-01-01T00:00:00Z")) {
    this.#wallStart = wallStart - this.#now;
  }

  monotonic(): number {
    return this.#now;
  }

  wall(): number {
    return this.#wallStart + this.#now;
  }

  after(ms: number, run: () => void): () => void {
    const timer = { at: this.#now + Math.max(0, ms), run };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** Time jumps, as it does for a process that was stopped: timers run late, one after another. */
  suspend(ms: number): void {
    this.#now += ms;
  }

  /** Timers that wait. */
  get pending(): number {
    return this.#timers.size;
  }

  /**
   * Lets time pass; timers run in their order, and what they set off in microtasks runs before
   * the next one.
   */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    for (;;) {
      const next = [...this.#timers].filter((t) => t.at <= end).sort((a, b) => a.at - b.at)[0];
      if (next === undefined) break;
      this.#timers.delete(next);
      this.#now = Math.max(this.#now, next.at);
      next.run();
      await settle();
    }
    this.#now = end;
    await settle();
  }
}

/** Lets everything run that is ready to. */
export async function settle(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 0));
}
