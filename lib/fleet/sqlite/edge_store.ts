import { isObject, parseJson, toJson } from "../values.ts";
import type { HostInfo } from "../messages.ts";
import type { EdgeRecord, UpgradeOutcome } from "../records.ts";
import type { EdgeFilter, EdgeStore, Page, RegisteredFacts, Slice } from "../store.ts";
import { bytes, id, integer, oneOf, optionalInteger, optionalText, text } from "./columns.ts";
import type { Database, Row } from "./database.ts";
import { attempt } from "./database_errors.ts";

/** {@linkcode EdgeStore} on SQLite. */
export class SqliteEdgeStore implements EdgeStore {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  add(
    edge: { name: string; accessKey: string; secretHash: Uint8Array; now: number },
  ): Promise<EdgeRecord> {
    return attempt(() =>
      this.#db.durable(() =>
        toEdge(this.#db.get(
          `INSERT INTO edges (name, access_key, secret_hash, created_at) VALUES (?, ?, ?, ?)
           RETURNING *`,
          edge.name,
          edge.accessKey,
          edge.secretHash,
          edge.now,
        ))
      )
    );
  }

  get(edgeId: bigint): Promise<EdgeRecord | undefined> {
    return attempt(() => {
      const row = this.#db.get("SELECT * FROM edges WHERE id = ?", edgeId);
      return row === undefined ? undefined : toEdge(row);
    });
  }

  list(filter: EdgeFilter, slice: Slice): Promise<Page<EdgeRecord>> {
    return attempt(() => {
      const where = `WHERE (?1 = '' OR status = ?1)
        AND (?2 = '' OR instr(lower(name), ?2) > 0 OR instr(lower(hostname), ?2) > 0)`;
      const values = [filter.status ?? "", (filter.text ?? "").toLowerCase()];
      const count = this.#db.get(`SELECT count(*) AS n FROM edges ${where}`, ...values);
      const rows = this.#db.all(
        `SELECT * FROM edges ${where} ORDER BY id LIMIT ?3 OFFSET ?4`,
        ...values,
        slice.limit,
        slice.offset,
      );
      return { items: rows.map(toEdge), total: integer(count ?? {}, "n") };
    });
  }

  remove(edgeId: bigint): Promise<boolean> {
    return attempt(() => this.#db.run("DELETE FROM edges WHERE id = ?", edgeId) > 0);
  }

  findCredentials(
    accessKey: string,
  ): Promise<{ id: bigint; name: string; secretHash: Uint8Array } | undefined> {
    return attempt(() => {
      const row = this.#db.get(
        "SELECT id, name, secret_hash FROM edges WHERE access_key = ?",
        accessKey,
      );
      return row === undefined ? undefined : {
        id: id(row, "id"),
        name: text(row, "name"),
        secretHash: bytes(row, "secret_hash"),
      };
    });
  }

  setOnline(edgeId: bigint, { address, now }: { address: string; now: number }): Promise<void> {
    return attempt(() => {
      this.#db.run(
        "UPDATE edges SET status = 'online', address = ?, last_seen_at = ? WHERE id = ?",
        address,
        now,
        edgeId,
      );
    });
  }

  setOffline(edgeId: bigint, { address, now }: { address: string; now: number }): Promise<void> {
    return attempt(() => {
      this.#db.run(
        `UPDATE edges SET status = 'offline', address = NULL, last_seen_at = ?
         WHERE id = ? AND address = ?`,
        now,
        edgeId,
        address,
      );
    });
  }

  setAllOffline(): Promise<void> {
    return attempt(() => {
      this.#db.run("UPDATE edges SET status = 'offline', address = NULL WHERE status = 'online'");
    });
  }

  register(edgeId: bigint, facts: RegisteredFacts): Promise<boolean> {
    return attempt(() =>
      this.#db.run(
        `UPDATE edges SET agent_version = ?, hostname = ?, os = ?, arch = ?, host_info = ?,
           upgrade_report = ?, status = 'online', last_seen_at = ?8, last_registered_at = ?8
         WHERE id = ?7`,
        facts.agentVersion,
        facts.host.hostname,
        facts.host.os,
        facts.host.arch,
        toJson(facts.host),
        facts.report,
        edgeId,
        facts.now,
      ) > 0
    );
  }

  touch(edgeId: bigint, now: number): Promise<boolean> {
    return attempt(() =>
      this.#db.run(
        "UPDATE edges SET status = 'online', last_seen_at = ? WHERE id = ?",
        now,
        edgeId,
      ) > 0
    );
  }

  setLastUpgrade(edgeId: bigint, outcome: UpgradeOutcome): Promise<void> {
    return attempt(() => {
      this.#db.run(
        `UPDATE edges SET upgrade_version = ?, upgrade_state = ?, upgrade_reason = ?, upgrade_at = ?
         WHERE id = ?`,
        outcome.version,
        outcome.state,
        outcome.reason,
        outcome.at,
        edgeId,
      );
    });
  }
}

function toEdge(row: Row | undefined): EdgeRecord {
  const edge = row ?? {};
  return {
    id: id(edge, "id"),
    name: text(edge, "name"),
    accessKey: text(edge, "access_key"),
    createdAt: integer(edge, "created_at"),
    status: oneOf(edge, "status", ["online", "offline"]),
    address: optionalText(edge, "address"),
    agentVersion: text(edge, "agent_version"),
    host: toHost(edge),
    lastSeenAt: optionalInteger(edge, "last_seen_at"),
    lastRegisteredAt: optionalInteger(edge, "last_registered_at"),
    lastUpgrade: toOutcome(edge),
    report: text(edge, "upgrade_report"),
  };
}

function toHost(edge: Row): HostInfo | undefined {
  const json = optionalText(edge, "host_info");
  if (json === undefined) return undefined;
  const stored = parseJson(json);
  return {
    ...(isObject(stored) ? stored : {}),
    hostname: text(edge, "hostname"),
    os: text(edge, "os"),
    arch: text(edge, "arch"),
    kernel_version: isObject(stored) ? String(stored.kernel_version ?? "") : "",
  };
}

function toOutcome(edge: Row): UpgradeOutcome | undefined {
  const at = optionalInteger(edge, "upgrade_at");
  return at === undefined ? undefined : {
    version: text(edge, "upgrade_version"),
    state: text(edge, "upgrade_state"),
    reason: text(edge, "upgrade_reason"),
    at,
  };
}
