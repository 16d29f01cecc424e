import { type Role, ROLES, type UserRecord } from "../records.ts";
import type { UserStore } from "../store.ts";
import { id, integer, oneOf, text } from "./columns.ts";
import type { Database, Row } from "./database.ts";
import { attempt } from "./database_errors.ts";

/** {@linkcode UserStore} on SQLite. */
export class SqliteUserStore implements UserStore {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  count(): Promise<number> {
    return attempt(() => integer(this.#db.get("SELECT count(*) AS n FROM users") ?? {}, "n"));
  }

  add(
    user: { email: string; passwordHash: string; role: Role; now: number },
  ): Promise<UserRecord> {
    return attempt(() =>
      this.#db.durable(() =>
        toUser(
          this.#db.get(
            `INSERT INTO users (email, password_hash, role, created_at) VALUES (?, ?, ?, ?)
             RETURNING *`,
            user.email,
            user.passwordHash,
            user.role,
            user.now,
          ) ?? {},
        )
      )
    );
  }

  findByEmail(email: string): Promise<(UserRecord & { passwordHash: string }) | undefined> {
    return attempt(() => {
      const row = this.#db.get("SELECT * FROM users WHERE email = ?", email);
      if (row === undefined) return undefined;
      return { ...toUser(row), passwordHash: text(row, "password_hash") };
    });
  }

  /** Stores a token and drops those that have expired, so that the table does not grow for ever. */
  addToken(
    token: { hash: Uint8Array; userId: bigint; now: number; expiresAt: number },
  ): Promise<void> {
    return attempt(() =>
      this.#db.transaction(() => {
        this.#db.run("DELETE FROM tokens WHERE expires_at <= ?", token.now);
        this.#db.run(
          "INSERT INTO tokens (hash, user_id, created_at, expires_at) VALUES (?, ?, ?, ?)",
          token.hash,
          token.userId,
          token.now,
          token.expiresAt,
        );
      })
    );
  }

  findByToken(hash: Uint8Array, now: number): Promise<UserRecord | undefined> {
    return attempt(() => {
      const row = this.#db.get(
        `SELECT users.* FROM tokens JOIN users ON users.id = tokens.user_id
         WHERE tokens.hash = ? AND tokens.expires_at > ?`,
        hash,
        now,
      );
      return row === undefined ? undefined : toUser(row);
    });
  }
}

function toUser(row: Row): UserRecord {
  return { id: id(row, "id"), email: text(row, "email"), role: oneOf(row, "role", ROLES) };
}
