import { OngridError } from "../../cli/errors.ts";
import { type Lock, lockHolder, tryAcquireLock } from "../../fs/lock.ts";
import type { FleetStore } from "../store.ts";
import { Database } from "./database.ts";
import { attempt, cannotOpen } from "./database_errors.ts";
import { SqliteEdgeStore } from "./edge_store.ts";
import { SqlitePushStore } from "./push_store.ts";
import { SqliteUserStore } from "./user_store.ts";

/**
 * Opens the registry in the SQLite file `path`, creating it (0600) when there is none; its
 * directory must exist.
 *
 * @throws {OngridError} It cannot be opened, is not ours, or a newer manager wrote it.
 */
export function openSqliteStore(path: string): FleetStore {
  const db = new Database(path);
  return {
    edges: new SqliteEdgeStore(db),
    pushes: new SqlitePushStore(db),
    users: new SqliteUserStore(db),
    ping: () => attempt(() => void db.get("SELECT 1 FROM edges LIMIT 1")),
    close: () => attempt(() => db.close()),
  };
}

/**
 * Opens the registry for the service, of which there is one at a time: two would both take up the
 * rollouts under way and tell edges twice. Commands may use the file meanwhile.
 *
 * @throws {OngridError} Another manager runs on it, or what {@linkcode openSqliteStore} throws.
 */
export function openServiceStore(path: string): FleetStore {
  const lock = lockForService(path);
  try {
    const store = openSqliteStore(path);
    return { ...store, close: () => store.close().finally(() => lock.release()) };
  } catch (e) {
    lock.release();
    throw e;
  }
}

function lockForService(path: string): Lock {
  const lockPath = `${path}.lock`;
  let lock: Lock | undefined;
  try {
    lock = tryAcquireLock(lockPath);
  } catch (e) {
    throw cannotOpen(path, e);
  }
  if (lock !== undefined) return lock;
  const holder = lockHolder(lockPath);
  const who = holder === undefined ? "another manager" : `another manager (process ${holder})`;
  throw new OngridError(`Cannot use the database ${path}: ${who} runs on it`, {
    hint: "Stop that one first, or choose another registry (--db, ONGRID_DB_PATH).",
  });
}
