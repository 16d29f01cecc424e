/** How a push moves from phase to phase and how it ends, with the words a person reads. */

import type { UpgradeReport } from "./messages.ts";
import type { Push, PushContext } from "./push_state.ts";
import type { Phase, PushRecord } from "./records.ts";

/** Entries of a push's history; more would mean an edge that comes and goes all the time. */
const MAX_PHASE_ENTRIES = 32;

/** Ends a push whose deadline has passed. */
export function timedOut(push: Push, context: PushContext): Push {
  const { record } = push;
  const minutes = (ms: number) => `${Math.round(ms / 6000) / 10} min`;
  if (record.phase === "fetching") {
    const reason = push.wait.for === "edge"
      ? `went away while it was staging, and was not back within ` +
        minutes(context.settings.verifyMs)
      : `had not staged the bundle within ${minutes(context.settings.fetchMs)}: the link is too ` +
        `slow, or the agent hangs; a bundle can be staged by hand (ongrid-edge stage)`;
    return ended(push, "timed_out", "fetch_timeout", reason, context);
  }
  const reason = `did not register again within ${minutes(context.settings.verifyMs)} after it ` +
    `was told to restart; it may be down, or unable to reach the manager`;
  return ended(push, "timed_out", "verification_timeout", reason, context);
}

/** Ends a push by what the edge itself reported of it. */
export function endedByReport(push: Push, report: UpgradeReport, context: PushContext): Push {
  const reason = report.reason === "" ? "the edge gave no reason" : report.reason;
  return report.state === "rolled_back"
    ? ended(push, "rolled_back", "rolled_back", reason, context)
    : ended(push, "failed", "refused", reason, context);
}

/** The edge runs another version than it was told to and does not say why: older hooks never do. */
export function cameBackOld(push: Push, context: PushContext): Push {
  const version = push.record.observedVersion || push.record.fromVersion || "another version";
  const reason = `came back with ${version} and gave no reason: the new version did not come up ` +
    `there, or the hook did not apply it; see the log of ongrid-edge on that host`;
  return ended(push, "rolled_back", "version_mismatch", reason, context);
}

/** Ends a push. */
export function ended(
  push: Push,
  phase: Phase,
  code: string,
  reason: string,
  { now }: PushContext,
): Push {
  const record = {
    ...entered(push.record, phase, now),
    code,
    reason,
    deadlineAt: undefined,
    finishedAt: now,
  };
  return { ...push, record, wait: { for: "start" } };
}

/** The record in `phase`, with the moment noted when that is a new one. */
export function entered(record: PushRecord, phase: Phase, now: number): PushRecord {
  if (record.phase === phase) return record;
  const phases = [...record.phases, { phase, at: now }].slice(-MAX_PHASE_ENTRIES);
  return { ...record, phase, phases };
}
