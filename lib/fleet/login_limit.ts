import { ApiError } from "./api_error.ts";
import type { Effects } from "./effects.ts";

/** Wrong passwords for one account from one address before it has to wait. */
const MAX_FAILURES = 6;

/** How long failures count and, once there are too many, how long to wait; milliseconds. */
const WINDOW_MS = 15 * 60 * 1000;

/** Pairs of address and account remembered at a time, so that guessing cannot fill the memory. */
const MAX_ENTRIES = 10_000;

interface Failures {
  count: number;
  /** When they are forgotten, milliseconds since the epoch. */
  until: number;
}

/** Slows down guessing of passwords: counts failed logins by address and account. */
export class LoginLimit {
  readonly #effects: Pick<Effects, "now">;
  readonly #failures = new Map<string, Failures>();

  constructor(effects: Pick<Effects, "now">) {
    this.#effects = effects;
  }

  /**
   * Claims one attempt before the password is checked, so that many at once cannot slip through.
   * It counts as failed until {@linkcode succeeded} says otherwise.
   *
   * @throws {ApiError} `too-many-requests`: the attempts of this pair are used up.
   */
  attempt(address: string, email: string): void {
    const key = pair(address, email);
    const now = this.#effects.now();
    const known = this.#failures.get(key);
    const current = known !== undefined && known.until > now
      ? known
      : { count: 0, until: now + WINDOW_MS };
    if (current.count >= MAX_FAILURES) {
      throw new ApiError("too-many-requests", "too many failed logins", {
        hint: `Try again in ${Math.ceil((current.until - now) / 60_000)} min.`,
      });
    }
    current.count++;
    // Deleting first moves the pair to the end: the map is ordered by the latest attempt.
    this.#failures.delete(key);
    this.#failures.set(key, current);
    if (this.#failures.size > MAX_ENTRIES) this.#forgetOldest();
  }

  /** Forgets the failures of a pair that has logged in. */
  succeeded(address: string, email: string): void {
    this.#failures.delete(pair(address, email));
  }

  #forgetOldest(): void {
    const [oldest] = this.#failures.keys();
    if (oldest !== undefined) this.#failures.delete(oldest);
  }
}

function pair(address: string, email: string): string {
  return `${address} ${email.trim().toLowerCase()}`;
}
