import { DatabaseSync, type SQLInputValue, type StatementSync } from "node:sqlite";
import { OngridError } from "../../cli/errors.ts";
import { MIGRATIONS } from "./migrations.ts";

/** A row as SQLite hands it out: every integer is a `bigint`, since ids have 64 bits. */
export type Row = Record<string, unknown>;

/** How long a write waits for another process (`manager edge add`) to finish its own, in ms. */
const BUSY_TIMEOUT_MS = 10_000;

/**
 * One SQLite database file in WAL mode, opened and brought up to the current schema.
 *
 * Commits survive a killed process. With `synchronous=NORMAL` a power cut may take back the last
 * moments, which the manager can bear: an edge's state is learned again when it connects. What
 * must not be lost goes through {@linkcode Database.durable}.
 */
export class Database {
  readonly #db: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();

  /**
   * @throws {OngridError} The file cannot be opened, is no database of ours, or was written by a
   * newer manager.
   */
  constructor(path: string) {
    try {
      createPrivate(path);
      this.#db = new DatabaseSync(path, {
        timeout: BUSY_TIMEOUT_MS,
        enableForeignKeyConstraints: true,
      });
    } catch (e) {
      throw cannotOpen(path, e);
    }
    try {
      this.#requireKnownSchema(path);
      this.#db.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL");
      this.#migrate();
    } catch (e) {
      this.#db.close();
      throw e instanceof OngridError ? e : cannotOpen(path, e);
    }
  }

  /** All rows of a query. */
  all(sql: string, ...values: SQLInputValue[]): Row[] {
    return this.#statement(sql).all(...values);
  }

  /** The first row of a query. */
  get(sql: string, ...values: SQLInputValue[]): Row | undefined {
    return this.#statement(sql).get(...values);
  }

  /** Runs a statement; how many rows it changed. */
  run(sql: string, ...values: SQLInputValue[]): number {
    return Number(this.#statement(sql).run(...values).changes);
  }

  /** Runs `work` in one write transaction; an error takes all of it back. */
  transaction<T>(work: () => T): T {
    this.#db.exec("BEGIN IMMEDIATE");
    try {
      const result = work();
      this.#db.exec("COMMIT");
      return result;
    } catch (e) {
      if (this.#db.isTransaction) this.#db.exec("ROLLBACK");
      throw e;
    }
  }

  /** Like {@linkcode Database.transaction}, and on the disk when it returns. */
  durable<T>(work: () => T): T {
    this.#db.exec("PRAGMA synchronous = FULL");
    try {
      return this.transaction(work);
    } finally {
      this.#db.exec("PRAGMA synchronous = NORMAL");
    }
  }

  /** Closes the file; statements must not be used any more. */
  close(): void {
    this.#statements.clear();
    if (this.#db.isOpen) this.#db.close();
  }

  #statement(sql: string): StatementSync {
    const known = this.#statements.get(sql);
    if (known !== undefined) return known;
    const statement = this.#db.prepare(sql);
    statement.setReadBigInts(true);
    this.#statements.set(sql, statement);
    return statement;
  }

  #requireKnownSchema(path: string): void {
    const version = this.#version();
    if (version <= MIGRATIONS.length) return;
    throw new OngridError(
      `Cannot use the database ${path}: its schema is version ${version}, ` +
        `this program knows up to ${MIGRATIONS.length}`,
      { hint: "A newer manager wrote it: run that version, or restore a backup." },
    );
  }

  /** Takes the missing steps in one transaction: two processes may open a new file at once. */
  #migrate(): void {
    if (this.#version() === MIGRATIONS.length) return;
    this.transaction(() => {
      for (const step of MIGRATIONS.slice(this.#version())) this.#db.exec(step);
      this.#db.exec(`PRAGMA user_version = ${MIGRATIONS.length}`);
    });
  }

  #version(): number {
    return Number(this.#db.prepare("PRAGMA user_version").get()?.user_version);
  }
}

/** Makes the file, readable by its owner only; SQLite gives its side files the same mode. */
function createPrivate(path: string): void {
  Deno.openSync(path, { write: true, create: true, mode: 0o600 }).close();
}

function cannotOpen(path: string, cause: unknown): OngridError {
  return new OngridError(`Cannot open the database ${path}`, {
    cause,
    hint: "The directory must exist and be writable for this account (ONGRID_DB_PATH).",
  });
}
