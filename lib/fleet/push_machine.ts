/**
 * What happens to one push, as a pure function: an event goes in, the new state and at most one
 * call to the edge come out. The driver stores the state before it makes the call, so a manager
 * that is killed at any moment knows what its edges have been told.
 *
 * Two facts shape it. A call whose answer was lost may have arrived all the same: the agent stages
 * on without it, and exits as its answer to `apply_package` leaves. And a lost answer is no
 * failure: asking again joins what the edge is doing, and in the end the version with which the
 * edge registers decides.
 */

import { sameRelease } from "./arch.ts";
import type { UpgradeReport } from "./messages.ts";
import { cameBackOld, ended, endedByReport, entered, timedOut } from "./push_endings.ts";
import type { Push, PushContext, PushEvent, PushMethod, Step, Wait } from "./push_state.ts";
import { isFinal, type PushRecord } from "./records.ts";

/** How often a method that the edge does not know is called: some seconds after a reconnect. */
const MAX_UNKNOWN_METHOD = 5;

/** How often an edge is asked what became of a call to apply. */
const MAX_PROBES = 5;

/** Times the verification limit that an edge which keeps coming and going gets at most. */
const MAX_VERIFY_ROUNDS = 3;

/** Takes a push one event further. A final push does not change any more. */
export function step(push: Push, event: PushEvent, context: PushContext): Step {
  if (isFinal(push.record.phase)) return { push };
  switch (event.kind) {
    case "start":
      return ask(push, "fetch_package", context);
    case "resume":
      return { push: resume(push, context) };
    case "answered":
      return answered(push, event.method, context);
    case "refused":
      return refused(push, event, context);
    case "lost":
      return lost(push, event, context);
    case "registered":
      return { push: registered(push, event, context) };
    case "back":
      return { push: back(push, context) };
    case "tick":
      return tick(push, context);
  }
}

function ask(push: Push, method: PushMethod, { now, settings }: PushContext): Step {
  const { record } = push;
  const wait: Wait = { for: "answer", method };
  if (method === "fetch_package") {
    const fetchDeadlineAt = record.fetchDeadlineAt ?? now + settings.fetchMs;
    const asked = {
      ...entered(record, "fetching", now),
      asks: record.asks + 1,
      startedAt: record.startedAt ?? now,
      fetchDeadlineAt,
      deadlineAt: fetchDeadlineAt,
    };
    return { push: { ...push, record: asked, wait }, call: method };
  }
  const again = record.applySentAt !== undefined;
  const asked = {
    ...(again ? record : entered(record, "staged", now)),
    probes: record.probes + (again ? 1 : 0),
    applySentAt: record.applySentAt ?? now,
    deadlineAt: now + settings.verifyMs,
  };
  return { push: { ...push, record: asked, wait, unknownMethod: 0 }, call: method };
}

function resume(push: Push, { now, settings }: PushContext): Push {
  // The deadline may have passed while no manager ran; the edge gets the time to come back first.
  const deadlineAt = Math.max(push.record.deadlineAt ?? 0, now + settings.verifyMs);
  const record = { ...push.record, deadlineAt };
  if (record.fetchDeadlineAt !== undefined) {
    record.fetchDeadlineAt = Math.max(record.fetchDeadlineAt, deadlineAt);
  }
  return { ...push, record, wait: { for: "edge" } };
}

function answered(push: Push, method: PushMethod, context: PushContext): Step {
  if (method === "fetch_package") {
    return push.record.phase === "fetching" ? ask(push, "apply_package", context) : { push };
  }
  const record = {
    ...entered(push.record, "restarting", context.now),
    applyAccepted: true,
    deadlineAt: context.now + context.settings.verifyMs,
  };
  return { push: { ...push, record, wait: { for: "edge" } } };
}

function refused(
  push: Push,
  event: { method: PushMethod; text: string; unknownMethod: boolean },
  context: PushContext,
): Step {
  if (!awaits(push, event.method)) return { push };
  if (event.unknownMethod && push.unknownMethod < MAX_UNKNOWN_METHOD) {
    const until = context.now + context.settings.unknownMethodMs;
    const wait: Wait = { for: "pause", until, then: event.method };
    return { push: { ...push, wait, unknownMethod: push.unknownMethod + 1 } };
  }
  if (event.method === "fetch_package") {
    return { push: ended(push, "failed", "fetch_failed", event.text, context) };
  }
  if (push.record.probes > 0) return { push: cameBackOld(push, context) };
  return { push: ended(push, "failed", "apply_failed", event.text, context) };
}

function lost(
  push: Push,
  event: { method: PushMethod; why: "offline" | "closed" | "timeout" },
  context: PushContext,
): Step {
  if (!awaits(push, event.method)) return { push };
  const { record } = push;
  if (event.method === "fetch_package") {
    if (event.why === "offline" && record.asks === 1) {
      return { push: ended(push, "failed", "edge_offline", "edge not online", context) };
    }
    return { push: awaitEdge(push, "fetch_package", context.settings.pauseMs, context) };
  }
  const left = { ...push, record: entered(record, "restarting", context.now) };
  return { push: awaitEdge(left, "apply_package", context.settings.probeMs, context) };
}

function registered(
  push: Push,
  event: { version: string; report: UpgradeReport | undefined; reportJson: string },
  context: PushContext,
): Push {
  const { record } = push;
  const observedVersion = event.version;
  const seen = { ...push, record: { ...record, observedVersion } };
  if (sameRelease(event.version, record.targetVersion)) {
    // A push of the version that already runs proves nothing before the edge was told to restart.
    const proves = record.applySentAt !== undefined ||
      !sameRelease(record.fromVersion, record.targetVersion);
    if (proves) return ended(seen, "healthy", "", "", context);
  }
  const report = event.report !== undefined && concerns(event.report, record)
    ? event.report
    : undefined;
  const isNews = record.applyAccepted || event.reportJson !== record.baselineReport;
  if (report !== undefined && isNews) return endedByReport(seen, report, context);
  if (record.applyAccepted) return cameBackOld(seen, context);
  if (record.applySentAt !== undefined) {
    return awaitEdge(seen, "apply_package", context.settings.probeMs, context);
  }
  if (push.wait.for === "answer") return seen;
  return awaitEdge(seen, "fetch_package", context.settings.pauseMs, { ...context, online: true });
}

/** The edge is connected again without having registered, as older agents do it. */
function back(push: Push, context: PushContext): Push {
  const { record, wait } = push;
  if (wait.for !== "edge" || record.applyAccepted) return push;
  const { pauseMs, probeMs } = context.settings;
  return record.applySentAt === undefined
    ? awaitEdge(push, "fetch_package", pauseMs, context)
    : awaitEdge(push, "apply_package", probeMs, context);
}

function tick(push: Push, context: PushContext): Step {
  const { record, wait } = push;
  if (record.deadlineAt !== undefined && record.deadlineAt <= context.now) {
    return { push: timedOut(push, context) };
  }
  if (wait.for !== "pause" || wait.until > context.now) return { push };
  if (!context.online) return { push: awaitEdge(push, wait.then, 0, context) };
  if (wait.then === "apply_package" && record.probes >= MAX_PROBES) {
    return { push: cameBackOld(push, context) };
  }
  return ask(push, wait.then, context);
}

/** Waits for the edge to register, or pauses before asking again when it is there already. */
function awaitEdge(push: Push, then: PushMethod, pauseMs: number, context: PushContext): Push {
  const { now, online, settings } = context;
  const { fetchDeadlineAt, applySentAt, deadlineAt: current } = push.record;
  const back = now + settings.verifyMs;
  let deadlineAt = back;
  if (then === "fetch_package" && fetchDeadlineAt !== undefined) {
    deadlineAt = online ? fetchDeadlineAt : Math.min(fetchDeadlineAt, back);
  } else if (applySentAt !== undefined) {
    // An edge that comes and goes all the time must not push its deadline ahead of itself.
    const last = applySentAt + MAX_VERIFY_ROUNDS * settings.verifyMs;
    deadlineAt = Math.min(back, Math.max(last, current ?? 0));
  }
  // A pause that has begun goes on: an edge that comes back all the time would never be asked.
  const begun = push.wait.for === "pause" && push.wait.then === then ? push.wait.until : Infinity;
  const until = Math.min(begun, now + pauseMs);
  const wait: Wait = online ? { for: "pause", until, then } : { for: "edge" };
  return { ...push, record: { ...push.record, deadlineAt }, wait };
}

/** Whether an answer to `method` is still what the push waits for: it may have moved on. */
function awaits(push: Push, method: PushMethod): boolean {
  return push.wait.for === "answer" && push.wait.method === method;
}

function concerns(report: UpgradeReport, record: PushRecord): boolean {
  const bad = report.state === "rolled_back" || report.state === "refused";
  return bad && sameRelease(report.version, record.targetVersion);
}
