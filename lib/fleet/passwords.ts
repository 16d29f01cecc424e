/** Passwords of people, hashed with scrypt (RFC 7914). */

import { scrypt, timingSafeEqual } from "node:crypto";
import { ApiError } from "./api_error.ts";
import type { Effects } from "./effects.ts";

/** The longest password that is hashed, in characters; the existing manager has the same bound. */
export const MAX_PASSWORD_CHARS = 128;

const COST = { N: 2 ** 15, r: 8, p: 1 };
const HASH_BYTES = 32;
const SALT_BYTES = 16;

/** scrypt takes 128 * N * r bytes: 32 MiB. Node refuses a hash that would need more than this. */
const MAX_HASH_MEMORY = 64 * 1024 * 1024;

/** Hashes at a time and waiting: bounds memory and CPU against a flood of logins. */
const LIMITS = { running: 2, waiting: 32 };

/** Hashes and checks passwords, few at a time. */
export class PasswordHasher {
  readonly #effects: Pick<Effects, "randomBytes">;
  readonly #limits: typeof LIMITS;
  #running = 0;
  readonly #waiting: (() => void)[] = [];

  constructor(effects: Pick<Effects, "randomBytes">, limits: typeof LIMITS = LIMITS) {
    this.#effects = effects;
    this.#limits = limits;
  }

  /** `password` as it is stored: `scrypt$N$r$p$salt$hash`, both base64. */
  async hash(password: string): Promise<string> {
    const salt = this.#effects.randomBytes(SALT_BYTES);
    const hash = await this.#derive(password, salt);
    return `scrypt$${COST.N}$${COST.r}$${COST.p}$${salt.toBase64()}$${hash.toBase64()}`;
  }

  /**
   * Whether `password` is the one that `stored` was made of. With `stored` undefined (no such
   * user) it is false after the same work, so that the time does not tell who has an account.
   *
   * @throws {ApiError} `too-many-requests`: too many passwords are being checked already.
   */
  async verify(password: string, stored: string | undefined): Promise<boolean> {
    const parts = (stored ?? "").split("$");
    const salt = stored === undefined ? new Uint8Array(SALT_BYTES) : fromBase64(parts[4] ?? "");
    const expected = fromBase64(parts[5] ?? "");
    const hash = await this.#derive(password, salt);
    const sameCost = parts.slice(0, 4).join("$") === `scrypt$${COST.N}$${COST.r}$${COST.p}`;
    return sameCost && expected.length === hash.length && timingSafeEqual(hash, expected);
  }

  async #derive(
    password: string,
    salt: Uint8Array<ArrayBuffer>,
  ): Promise<Uint8Array<ArrayBuffer>> {
    await this.#enter();
    try {
      return await new Promise((resolve, reject) => {
        const options = { ...COST, maxmem: MAX_HASH_MEMORY };
        scrypt(password.normalize("NFKC"), salt, HASH_BYTES, options, (error, key) => {
          if (error === null) resolve(new Uint8Array(key));
          else reject(error);
        });
      });
    } finally {
      this.#leave();
    }
  }

  async #enter(): Promise<void> {
    if (this.#running < this.#limits.running) {
      this.#running++;
      return;
    }
    if (this.#waiting.length >= this.#limits.waiting) {
      throw new ApiError("too-many-requests", "too many logins at the same time", {
        hint: "Try again in a few seconds.",
      });
    }
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  /** Hands the place on to the next in line, or frees it. */
  #leave(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#running--;
    else next();
  }
}

function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  try {
    return Uint8Array.fromBase64(text);
  } catch (e) {
    if (e instanceof SyntaxError) return new Uint8Array(0);
    throw e;
  }
}
