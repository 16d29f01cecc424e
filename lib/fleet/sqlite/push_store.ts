import { type Phase, PHASES, type PushRecord, type RolloutRecord } from "../records.ts";
import type { NewPush, NewRollout, Page, PushStore, Slice } from "../store.ts";
import { integer, oneOf } from "./columns.ts";
import type { Database } from "./database.ts";
import { attempt } from "./database_errors.ts";
import { pushValues, toPush, toRollout } from "./push_rows.ts";

const IN_FLIGHT = "phase IN ('fetching', 'staged', 'restarting')";

/** {@linkcode PushStore} on SQLite. */
export class SqlitePushStore implements PushStore {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  add(push: NewPush): Promise<PushRecord> {
    return attempt(() =>
      this.#db.transaction(() =>
        toPush(this.#db.get(
          `INSERT INTO pushes
           (edge_id, edge_name, from_version, target_version, phase, phases, created_by, created_at)
         VALUES (?, ?, ?, ?, 'queued', '[]', ?, ?) RETURNING *`,
          push.edgeId,
          push.edgeName,
          push.fromVersion,
          push.targetVersion,
          push.createdBy,
          push.now,
        ))
      )
    );
  }

  save(push: PushRecord): Promise<void> {
    return attempt(() => this.#update(push));
  }

  end(push: PushRecord): Promise<void> {
    return attempt(() =>
      this.#db.transaction(() => {
        this.#update(push);
        this.#db.run(
          `UPDATE edges SET upgrade_version = ?, upgrade_state = ?, upgrade_reason = ?,
             upgrade_at = ? WHERE id = ?`,
          push.targetVersion,
          push.phase,
          push.reason,
          push.finishedAt ?? null,
          push.edgeId,
        );
      })
    );
  }

  inFlight(): Promise<PushRecord[]> {
    return this.#select(`WHERE ${IN_FLIGHT} ORDER BY id`);
  }

  orphans(): Promise<PushRecord[]> {
    return this.#select("WHERE rollout_id IS NULL AND phase = 'queued' ORDER BY id");
  }

  async nextQueued(rolloutId: bigint, after: bigint): Promise<PushRecord | undefined> {
    const [next] = await this.#select(
      "WHERE rollout_id = ? AND phase = 'queued' AND id > ? ORDER BY id LIMIT 1",
      rolloutId,
      after,
    );
    return next;
  }

  ofEdge(edgeId: bigint, slice: Slice): Promise<Page<PushRecord>> {
    return this.#page("edge_id = ?", "id DESC", edgeId, slice);
  }

  ofRollout(rolloutId: bigint, slice: Slice): Promise<Page<PushRecord>> {
    return this.#page("rollout_id = ?", "id", rolloutId, slice);
  }

  addRollout(rollout: NewRollout, edgeIds: readonly bigint[]): Promise<RolloutRecord> {
    return attempt(() =>
      this.#db.transaction(() => {
        const created = toRollout(this.#db.get(
          `INSERT INTO rollouts
             (target_version, state, force, concurrency, verify_ms, total, created_by, created_at)
           VALUES (?, 'running', ?, ?, ?, 0, ?, ?) RETURNING *`,
          rollout.targetVersion,
          rollout.force ? 1 : 0,
          rollout.concurrency,
          rollout.verifyMs,
          rollout.createdBy,
          rollout.now,
        ));
        const total = edgeIds.reduce((sum, edgeId) => sum + this.#queue(created, edgeId), 0);
        this.#db.run("UPDATE rollouts SET total = ? WHERE id = ?", total, created.id);
        return { ...created, total };
      })
    );
  }

  getRollout(rolloutId: bigint): Promise<RolloutRecord | undefined> {
    return attempt(() => {
      const row = this.#db.get("SELECT * FROM rollouts WHERE id = ?", rolloutId);
      return row === undefined ? undefined : toRollout(row);
    });
  }

  listRollouts(slice: Slice): Promise<Page<RolloutRecord>> {
    return attempt(() => {
      const rows = this.#db.all(
        "SELECT * FROM rollouts ORDER BY id DESC LIMIT ? OFFSET ?",
        slice.limit,
        slice.offset,
      );
      const count = this.#db.get("SELECT count(*) AS n FROM rollouts");
      return { items: rows.map(toRollout), total: integer(count ?? {}, "n") };
    });
  }

  runningRollouts(): Promise<RolloutRecord[]> {
    return attempt(() =>
      this.#db.all("SELECT * FROM rollouts WHERE state = 'running' ORDER BY id").map(toRollout)
    );
  }

  countPhases(rolloutId: bigint): Promise<Map<Phase, number>> {
    return attempt(() =>
      new Map(
        this.#db.all(
          "SELECT phase, count(*) AS n FROM pushes WHERE rollout_id = ? GROUP BY phase",
          rolloutId,
        ).map((row) => [oneOf(row, "phase", PHASES), integer(row, "n")]),
      )
    );
  }

  countCode(rolloutId: bigint, code: string): Promise<number> {
    return attempt(() => {
      const sql = "SELECT count(*) AS n FROM pushes WHERE rollout_id = ? AND code = ?";
      return integer(this.#db.get(sql, rolloutId, code) ?? {}, "n");
    });
  }

  finishRollout(
    rolloutId: bigint,
    { state, now }: { state: RolloutRecord["state"]; now: number },
  ): Promise<void> {
    return attempt(() => {
      this.#db.run(
        "UPDATE rollouts SET state = ?, finished_at = ? WHERE id = ? AND state = 'running'",
        state,
        now,
        rolloutId,
      );
    });
  }

  #update(push: PushRecord): void {
    this.#db.run(
      `UPDATE pushes SET from_version = ?, target_version = ?, arch = ?, file = ?, sha256 = ?,
         phase = ?, code = ?, reason = ?, phases = ?, asks = ?, probes = ?, apply_sent_at = ?,
         apply_accepted = ?, baseline_report = ?, fetch_deadline_at = ?, deadline_at = ?,
         observed_version = ?, started_at = ?, finished_at = ?
       WHERE id = ?`,
      ...pushValues(push),
      push.id,
    );
  }

  #queue(rollout: RolloutRecord, edgeId: bigint): number {
    return this.#db.run(
      `INSERT INTO pushes (rollout_id, edge_id, edge_name, from_version, target_version, phase,
         phases, created_by, created_at)
       SELECT ?, id, name, agent_version, ?, 'queued', '[]', ?, ? FROM edges WHERE id = ?`,
      rollout.id,
      rollout.targetVersion,
      rollout.createdBy,
      rollout.createdAt,
      edgeId,
    );
  }

  #select(clause: string, ...values: (bigint | string | number)[]): Promise<PushRecord[]> {
    return attempt(() => this.#db.all(`SELECT * FROM pushes ${clause}`, ...values).map(toPush));
  }

  async #page(
    where: string,
    order: string,
    value: bigint,
    slice: Slice,
  ): Promise<Page<PushRecord>> {
    const items = await this.#select(
      `WHERE ${where} ORDER BY ${order} LIMIT ? OFFSET ?`,
      value,
      slice.limit,
      slice.offset,
    );
    const row = this.#db.get(`SELECT count(*) AS n FROM pushes WHERE ${where}`, value);
    return { items, total: integer(row ?? {}, "n") };
  }
}
