/**
 * Time as the tunnel needs it. Two clocks, because they answer different questions: intervals
 * (heartbeats, limits) must survive an operator setting the system clock, deadlines on the wire
 * are wall-clock times.
 */
export interface Clock {
  /** Milliseconds since an arbitrary moment; never goes back. */
  monotonic(): number;
  /** Milliseconds since 1970, UTC. */
  wall(): number;
  /** Runs `run` once after `ms` milliseconds; the function it returns takes that back. */
  after(ms: number, run: () => void): () => void;
}

/** `setTimeout` fires at once for anything longer, ms. */
export const MAX_TIMER_MS = 2 ** 31 - 1;

/** The real time. */
export const systemClock: Clock = {
  monotonic: () => performance.now(),
  wall: () => Date.now(),
  after(ms, run) {
    const timer = setTimeout(run, Math.max(0, Math.min(ms, MAX_TIMER_MS)));
    return () => clearTimeout(timer);
  },
};

/**
 * The outcome of `work`, or the error that `late` makes when it takes longer than `ms`. The work
 * itself is not stopped; what it comes to later is dropped.
 */
export async function withLimit<T>(
  clock: Clock,
  ms: number,
  work: Promise<T>,
  late: () => Error,
): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const cancel = clock.after(ms, () => reject(late()));
  try {
    return await Promise.race([work, promise]);
  } finally {
    cancel();
  }
}
