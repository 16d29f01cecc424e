/** Records as the API shows them. */

import type { StagingProgress } from "../messages.ts";
import type { EdgeRecord, Phase, PushRecord, RolloutRecord } from "../records.ts";
import type { JsonObject } from "../values.ts";
import { timestamp } from "./respond.ts";

/** An edge; the first fields as the existing manager names them. */
export function edgeView(edge: EdgeRecord, staging: StagingProgress | undefined): JsonObject {
  const { lastUpgrade } = edge;
  return {
    id: edge.id,
    name: edge.name,
    status: edge.status,
    roles: [],
    access_key_id: edge.accessKey,
    last_seen_at: timestamp(edge.lastSeenAt),
    agent_version: edge.agentVersion === "" ? undefined : edge.agentVersion,
    host_info: edge.host,
    created_at: timestamp(edge.createdAt),
    last_registered_at: timestamp(edge.lastRegisteredAt),
    address: edge.address,
    staging: staging ?? null,
    last_upgrade: lastUpgrade === undefined ? null : {
      version: lastUpgrade.version,
      state: lastUpgrade.state,
      reason: lastUpgrade.reason,
      at: timestamp(lastUpgrade.at),
    },
  };
}

/** One attempt to upgrade one edge. */
export function pushView(push: PushRecord): JsonObject {
  return {
    id: push.id,
    rollout_id: push.rolloutId ?? null,
    edge_id: push.edgeId,
    edge_name: push.edgeName,
    arch: push.arch,
    from_version: push.fromVersion,
    target_version: push.targetVersion,
    observed_version: push.observedVersion,
    phase: push.phase,
    code: push.code === "" ? undefined : push.code,
    reason: push.reason === "" ? undefined : push.reason,
    phases: push.phases.map(({ phase, at }) => ({ phase, at: timestamp(at) })),
    created_by: push.createdBy,
    created_at: timestamp(push.createdAt),
    started_at: timestamp(push.startedAt),
    finished_at: timestamp(push.finishedAt),
  };
}

/** How many edges of a rollout are where. */
export interface RolloutCounts {
  phases: ReadonlyMap<Phase, number>;
  /** Those of the skipped ones that had the version already. */
  current: number;
}

/** One rollout and how many of its edges are in which phase. */
export function rolloutView(rollout: RolloutRecord, counts: RolloutCounts): JsonObject {
  return {
    id: rollout.id,
    target_version: rollout.targetVersion,
    state: rollout.state,
    force: rollout.force,
    concurrency: rollout.concurrency,
    deadline_s: Math.round(rollout.verifyMs / 1000),
    total: rollout.total,
    counts: Object.fromEntries(counts.phases),
    message: rolloutMessage(rollout, counts),
    created_by: rollout.createdBy,
    created_at: timestamp(rollout.createdAt),
    finished_at: timestamp(rollout.finishedAt),
  };
}

/** The rollout in one sentence. */
function rolloutMessage(
  { state, targetVersion, total }: RolloutRecord,
  { phases, current }: RolloutCounts,
): string {
  const count = (phase: Phase) => phases.get(phase) ?? 0;
  const failures = count("failed") + count("rolled_back") + count("timed_out");
  const finished = failures + count("healthy") + count("skipped");
  if (state === "running") return `${finished} of ${total} edges done`;
  if (current === total) return `nothing to do: ${total} of ${total} edges run ${targetVersion}`;
  const parts = [
    `${count("healthy")} of ${total} edges upgraded to ${targetVersion}`,
    ...note(current, "had it already"),
    ...note(count("skipped") - current, "skipped"),
    ...note(failures, "failed or rolled back"),
  ];
  return parts.join(", ");
}

function note(count: number, what: string): string[] {
  return count === 0 ? [] : [`${count} ${what}`];
}
