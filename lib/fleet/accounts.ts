/** People: who they are, how they log in, what they may do. */

import { ApiError } from "./api_error.ts";
import type { Effects } from "./effects.ts";
import { LoginLimit } from "./login_limit.ts";
import { MAX_PASSWORD_CHARS, PasswordHasher } from "./passwords.ts";
import type { Role, UserRecord } from "./records.ts";
import { hashSecret, MAX_SECRET_CHARS, newPassword, newToken } from "./secrets.ts";
import type { UserStore } from "./store.ts";

/** The longest e-mail address, RFC 5321. */
const MAX_EMAIL_CHARS = 254;

/** What a route asks of the person who calls it. */
export type Permission = "read" | "write" | "delete";

const ALLOWED: Record<Role, readonly Permission[]> = {
  viewer: ["read"],
  operator: ["read", "write"],
  admin: ["read", "write", "delete"],
};

/** Whether a role allows what a route asks for. */
export function isAllowed(role: Role, permission: Permission): boolean {
  return ALLOWED[role].includes(permission);
}

/** A token as it is handed out; it is shown once and stored as a hash. */
export interface IssuedToken {
  token: string;
  /** Seconds until it expires. */
  expiresIn: number;
  role: Role;
}

/**
 * What makes an address and a password unfit for an account, in words; undefined when nothing does.
 * An account that nobody can log in to must not be made.
 */
export function accountProblem(
  { email, password }: { email: string; password: string | undefined },
): string | undefined {
  if (email.trim() === "" || email.length > MAX_EMAIL_CHARS) {
    return `the e-mail address must have 1 to ${MAX_EMAIL_CHARS} characters`;
  }
  return password !== undefined && password.length > MAX_PASSWORD_CHARS
    ? `the password must have at most ${MAX_PASSWORD_CHARS} characters`
    : undefined;
}

/** What the accounts work with. */
export interface AccountsOptions {
  users: UserStore;
  effects: Effects;
  /** How long a token is good for, ms. */
  tokenTtlMs: number;
  /** Default: one of its own. */
  hasher?: PasswordHasher;
}

/** Logs people in and recognizes their tokens. */
export class Accounts {
  readonly #options: AccountsOptions;
  readonly #limit: LoginLimit;
  readonly #hasher: PasswordHasher;

  constructor(options: AccountsOptions) {
    this.#options = options;
    this.#limit = new LoginLimit(options.effects);
    this.#hasher = options.hasher ?? new PasswordHasher(options.effects);
  }

  /**
   * Creates the first administrator when there is nobody yet. Returns the password when one had to
   * be made up: it is not stored anywhere and must be shown now.
   */
  async ensureAdmin(
    admin: { email: string; password: string | undefined },
  ): Promise<string | undefined> {
    const { users, effects } = this.#options;
    if (await users.count() > 0) return undefined;
    const password = admin.password ?? newPassword(effects);
    const passwordHash = await this.#hasher.hash(password);
    const email = normalize(admin.email);
    await users.add({ email, passwordHash, role: "admin", now: effects.now() });
    return admin.password === undefined ? password : undefined;
  }

  /**
   * Exchanges a password for a token.
   *
   * @throws {ApiError} `unauthorized`, with one text for every reason; `too-many-requests` after
   * too many failures from `address`.
   */
  async login(
    { email, password, address }: { email: string; password: string; address: string },
  ): Promise<IssuedToken> {
    if (email.length > MAX_EMAIL_CHARS || password.length > MAX_PASSWORD_CHARS) {
      throw new ApiError("invalid", "password or email exceeds maximum allowed length");
    }
    this.#limit.attempt(address, email);
    const user = await this.#options.users.findByEmail(normalize(email));
    const matches = await this.#matches(password, user?.passwordHash, () => {
      this.#limit.unchecked(address, email);
    });
    if (user === undefined || !matches) {
      throw new ApiError("unauthorized", "invalid email or password");
    }
    this.#limit.succeeded(address, email);
    return await this.#issue(user);
  }

  /** A token for the account `email`, for whoever has access to the database anyway. */
  async issueFor(email: string): Promise<IssuedToken> {
    const user = await this.#options.users.findByEmail(normalize(email));
    if (user === undefined) {
      throw new ApiError("not-found", `There is no account ${email}`, {
        hint: "The first administrator is made when the manager first runs (ONGRID_ADMIN_EMAIL).",
      });
    }
    return await this.#issue(user);
  }

  /** Whose token it is; undefined when it is nobody's or has expired. */
  async recognize(token: string): Promise<UserRecord | undefined> {
    if (token === "" || token.length > MAX_SECRET_CHARS) return undefined;
    const { users, effects } = this.#options;
    return await users.findByToken(hashSecret(token), effects.now());
  }

  async #matches(
    password: string,
    stored: string | undefined,
    unchecked: () => void,
  ): Promise<boolean> {
    try {
      return await this.#hasher.verify(password, stored);
    } catch (e) {
      unchecked();
      throw e;
    }
  }

  async #issue(user: UserRecord): Promise<IssuedToken> {
    const { users, effects, tokenTtlMs } = this.#options;
    const token = newToken(effects);
    const now = effects.now();
    const expiresAt = now + tokenTtlMs;
    await users.addToken({ hash: hashSecret(token), userId: user.id, now, expiresAt });
    return { token, expiresIn: Math.floor(tokenTtlMs / 1000), role: user.role };
  }
}

function normalize(email: string): string {
  return email.trim().toLowerCase();
}
