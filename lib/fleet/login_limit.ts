import { ApiError } from "./api_error.ts";
import type { Effects } from "./effects.ts";

/** Wrong passwords for one account from one address before it has to wait. */
const MAX_FAILURES = 6;

/**
 * Wrong passwords from one address, whatever the account: an office behind one address stays below
 * it, and one that tries account after account can neither go on nor crowd others out of the table.
 */
const MAX_ADDRESS_FAILURES = 60;

/** How long failures count and, once there are too many, how long to wait; milliseconds. */
const WINDOW_MS = 15 * 60 * 1000;

/** Addresses, and accounts tried from them, remembered at a time: guessing cannot fill the memory. */
const MAX_ENTRIES = 10_000;

interface Failures {
  count: number;
  /** When they are forgotten, milliseconds since the epoch. */
  until: number;
}

/** Slows down guessing of passwords: counts failed logins by address, and by address and account. */
export class LoginLimit {
  readonly #effects: Pick<Effects, "now">;
  readonly #failures = new Map<string, Failures>();

  constructor(effects: Pick<Effects, "now">) {
    this.#effects = effects;
  }

  /**
   * Claims one attempt before the password is checked, so that many at once cannot slip through.
   * It counts as failed until {@linkcode succeeded} or {@linkcode unchecked} says otherwise.
   *
   * @throws {ApiError} `too-many-requests`: the attempts are used up.
   */
  attempt(address: string, email: string): void {
    const network = networkOf(address);
    const ofAddress = this.#current(network, MAX_ADDRESS_FAILURES);
    const ofAccount = this.#current(pair(network, email), MAX_FAILURES);
    this.#count(network, ofAddress);
    this.#count(pair(network, email), ofAccount);
    while (this.#failures.size > MAX_ENTRIES) this.#forgetOldest();
  }

  /** Forgets the failures for an account that has logged in. */
  succeeded(address: string, email: string): void {
    const network = networkOf(address);
    this.#failures.delete(pair(network, email));
    this.#takeBack(network);
  }

  /** Takes an attempt back whose password was not looked at. */
  unchecked(address: string, email: string): void {
    const network = networkOf(address);
    this.#takeBack(pair(network, email));
    this.#takeBack(network);
  }

  #current(key: string, max: number): Failures {
    const now = this.#effects.now();
    const known = this.#failures.get(key);
    // A wait longer than the window means that the clock was set back; it ends here.
    const counts = known !== undefined && known.until > now && known.until <= now + WINDOW_MS;
    const current = counts ? known : { count: 0, until: now + WINDOW_MS };
    if (current.count < max) return current;
    throw new ApiError("too-many-requests", "too many failed logins", {
      hint: `Try again in ${Math.ceil((current.until - now) / 60_000)} min.`,
    });
  }

  #count(key: string, failures: Failures): void {
    failures.count++;
    // Deleting first moves the entry to the end: the map is ordered by the latest attempt.
    this.#failures.delete(key);
    this.#failures.set(key, failures);
  }

  #takeBack(key: string): void {
    const known = this.#failures.get(key);
    if (known !== undefined && --known.count <= 0) this.#failures.delete(key);
  }

  #forgetOldest(): void {
    const [oldest] = this.#failures.keys();
    if (oldest !== undefined) this.#failures.delete(oldest);
  }
}

function pair(network: string, email: string): string {
  return `${network} ${email.trim().toLowerCase()}`;
}

/**
 * What counts as one address: of IPv6 the first 64 bits, as whoever has one address there has all
 * the others, too.
 */
function networkOf(address: string): string {
  if (!address.includes(":")) return address;
  const [head = "", tail] = address.toLowerCase().split("::");
  const groups = head.split(":").filter((group) => group !== "");
  const after = tail?.split(":").filter((group) => group !== "") ?? [];
  while (groups.length + after.length < 8) groups.push("0");
  const network = [...groups, ...after].slice(0, 4).map((group) => parseInt(group, 16));
  return `${network.map((group) => group.toString(16)).join(":")}::/64`;
}
