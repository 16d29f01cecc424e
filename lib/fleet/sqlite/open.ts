import type { FleetStore } from "../store.ts";
import { Database } from "./database.ts";
import { attempt, SqliteEdgeStore } from "./edge_store.ts";
import { SqlitePushStore } from "./push_store.ts";
import { SqliteUserStore } from "./user_store.ts";

/**
 * Opens the registry in the SQLite file `path`, creating it (0600) when there is none; its
 * directory must exist.
 *
 * @throws {OngridError} It cannot be opened, or a newer manager wrote it.
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
