/** Pushes and rollouts as rows. */

import { type Phase, PHASES, type PushRecord, type RolloutRecord } from "../records.ts";
import { isObject, parseJson, toJson } from "../values.ts";
import { id, integer, oneOf, optionalId, optionalInteger, text } from "./columns.ts";
import type { Row } from "./database.ts";

const ROLLOUT_STATES = ["running", "succeeded", "partial_failed", "failed"] as const;

/** The columns of a push that change, in the order of the store's `UPDATE`. */
export function pushValues(push: PushRecord): (string | number | null)[] {
  return [
    push.fromVersion,
    push.targetVersion,
    push.arch,
    push.file,
    push.sha256,
    push.phase,
    push.code,
    push.reason,
    toJson(push.phases),
    push.asks,
    push.probes,
    push.applySentAt ?? null,
    push.applyAccepted ? 1 : 0,
    push.baselineReport,
    push.fetchDeadlineAt ?? null,
    push.deadlineAt ?? null,
    push.observedVersion,
    push.startedAt ?? null,
    push.finishedAt ?? null,
  ];
}

/** A row of `pushes`. */
export function toPush(row: Row | undefined): PushRecord {
  const push = row ?? {};
  return {
    id: id(push, "id"),
    rolloutId: optionalId(push, "rollout_id"),
    edgeId: id(push, "edge_id"),
    edgeName: text(push, "edge_name"),
    fromVersion: text(push, "from_version"),
    targetVersion: text(push, "target_version"),
    arch: text(push, "arch"),
    file: text(push, "file"),
    sha256: text(push, "sha256"),
    phase: oneOf(push, "phase", PHASES),
    code: text(push, "code"),
    reason: text(push, "reason"),
    phases: toPhases(text(push, "phases")),
    asks: integer(push, "asks"),
    probes: integer(push, "probes"),
    applySentAt: optionalInteger(push, "apply_sent_at"),
    applyAccepted: integer(push, "apply_accepted") === 1,
    baselineReport: text(push, "baseline_report"),
    fetchDeadlineAt: optionalInteger(push, "fetch_deadline_at"),
    deadlineAt: optionalInteger(push, "deadline_at"),
    observedVersion: text(push, "observed_version"),
    createdBy: text(push, "created_by"),
    createdAt: integer(push, "created_at"),
    startedAt: optionalInteger(push, "started_at"),
    finishedAt: optionalInteger(push, "finished_at"),
  };
}

/** A row of `rollouts`. */
export function toRollout(row: Row | undefined): RolloutRecord {
  const rollout = row ?? {};
  return {
    id: id(rollout, "id"),
    targetVersion: text(rollout, "target_version"),
    state: oneOf(rollout, "state", ROLLOUT_STATES),
    force: integer(rollout, "force") === 1,
    concurrency: integer(rollout, "concurrency"),
    verifyMs: integer(rollout, "verify_ms"),
    total: integer(rollout, "total"),
    createdBy: text(rollout, "created_by"),
    createdAt: integer(rollout, "created_at"),
    finishedAt: optionalInteger(rollout, "finished_at"),
  };
}

function toPhases(json: string): { phase: Phase; at: number }[] {
  const stored = parseJson(json);
  if (!Array.isArray(stored)) return [];
  return stored.flatMap((entry) => {
    const phase = isObject(entry) ? PHASES.find((known) => known === entry.phase) : undefined;
    return phase === undefined ? [] : [{ phase, at: Number(entry.at) }];
  });
}
