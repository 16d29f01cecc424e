import { randomBytes } from "node:crypto";

/** A timer that has not fired yet. */
export interface Timer {
  /** Keeps the timer from firing; harmless when it has. */
  clear(): void;
}

/** What the manager takes from the outside world beside files and sockets. */
export interface Effects {
  /** Milliseconds since the Unix epoch. */
  now(): number;
  /** `length` bytes nobody can guess. */
  randomBytes(length: number): Uint8Array<ArrayBuffer>;
  /** Calls `fire` once, `ms` milliseconds from now. */
  setTimer(ms: number, fire: () => void): Timer;
}

/** The longest delay a timer of the platform can hold; a longer one would fire at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** The real clock, the kernel's randomness, the platform's timers. */
export const systemEffects: Effects = {
  now: () => Date.now(),
  randomBytes: (length) => new Uint8Array(randomBytes(length)),
  setTimer(ms, fire) {
    const id = setTimeout(fire, Math.min(Math.max(0, ms), MAX_TIMER_MS));
    return { clear: () => clearTimeout(id) };
  },
};

/** Where the manager says what happens, one plain line a call. */
export interface Log {
  info(message: string): void;
  warn(message: string): void;
  error(message: string): void;
}
