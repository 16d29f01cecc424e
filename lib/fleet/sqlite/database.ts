import { DatabaseSync, type SQLInputValue, type StatementSync } from "node:sqlite";
import { OngridError } from "../../cli/errors.ts";
import { cannotOpen, isBusy } from "./database_errors.ts";
import { MIGRATIONS } from "./migrations.ts";

/** A row as SQLite hands it out: every integer is a `bigint`, since ids have 64 bits. */
export type Row = Record<string, unknown>;

/**
 * How long a write waits for another process (`manager edge add`) to finish its own, in ms. The
 * whole manager stands still meanwhile, and must still be able to stop within 5 s.
 */
const BUSY_TIMEOUT_MS = 2_000;

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
  /** Whether the last write waited in vain: then the next ones do not wait, until one succeeds. */
  #gaveUp = false;

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
      this.#requireOurs(path);
      this.#statement("PRAGMA journal_mode = WAL").get();
      this.#db.exec("PRAGMA synchronous = NORMAL");
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
    return this.#write(() => Number(this.#statement(sql).run(...values).changes));
  }

  /** Runs `work` in one write transaction; an error takes all of it back. */
  transaction<T>(work: () => T): T {
    // Prepared, as `exec` keeps SQLite's result code to itself.
    this.#write(() => this.#statement("BEGIN IMMEDIATE").run());
    try {
      const result = work();
      this.#statement("COMMIT").run();
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

  /** Runs a step that may have to wait for another process; a crowd of them waits only once. */
  #write<T>(step: () => T): T {
    try {
      const result = step();
      if (this.#gaveUp) this.#setPatience(BUSY_TIMEOUT_MS);
      this.#gaveUp = false;
      return result;
    } catch (e) {
      if (isBusy(e) && !this.#gaveUp) {
        this.#gaveUp = true;
        this.#setPatience(0);
      }
      throw e;
    }
  }

  #setPatience(ms: number): void {
    this.#db.exec(`PRAGMA busy_timeout = ${ms}`);
  }

  /** Neither a newer manager's database nor another program's, whose tables are left alone. */
  #requireOurs(path: string): void {
    const version = this.#version();
    if (version > MIGRATIONS.length) {
      throw new OngridError(
        `Cannot use the database ${path}: its schema is version ${version}, ` +
          `this program knows up to ${MIGRATIONS.length}`,
        { hint: "A newer manager wrote it: run that version, or restore a backup." },
      );
    }
    const tables = this.#db.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").all()
      .map(({ name }) => name);
    if (version === 0 ? tables.length === 0 : tables.includes("pushes")) return;
    throw new OngridError(`Cannot use the database ${path}: another program's tables are in it`, {
      hint: "Choose another file for the registry (--db, ONGRID_DB_PATH).",
    });
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
