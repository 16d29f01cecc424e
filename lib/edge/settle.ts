import { join } from "@std/path";
import { isPlainVersion } from "../bundle/version.ts";
import { readForeignText } from "../fs/foreign.ts";
import { discardBundle } from "./claim.ts";
import { type HookContext, messageOf, recordOutcome } from "./context.ts";
import { agentLast, ownedTargets, ROOT_STATE, STAGE } from "./paths.ts";
import type { FileChange, Journal, RollbackReason } from "./records.ts";
import {
  hashOf,
  missingForReturn,
  previousOf,
  prunePrevious,
  stillOurs,
  swapBack,
} from "./swap.ts";

/**
 * What mode 1 did. `kept`: it should have gone back, but the old set is not there any more.
 * `untried`: it is not proven, and its agent has not had a start in which it could be.
 */
export type Judgement = "nothing" | "settled" | "rolled_back" | "kept" | "untried";

/** Longest `last_exit` or verdict that goes into a record, in characters. */
const MAX_REASON_CHARS = 500;

/** True where the guard says that the upgrade on trial was applied by a start that never ended. */
export function isUntried(env: (name: string) => string | undefined): boolean {
  return env("ONGRID_EDGE_UPGRADE_UNTRIED") === "1";
}

/**
 * Mode 1: an upgrade that waits for its verdict gets it. Its agent reported healthy under the
 * upgrade's own version: it stays. Anything else: every file goes back.
 * Source: `spec/upgrade.md`, "The new agent reports healthy (or doesn't)".
 */
export function settleOrRollBack(
  context: HookContext,
  { untried }: { untried: boolean },
): Judgement {
  const upgrade = unsettledUpgrade(context);
  if (!upgrade) return "nothing";
  if (isProven(context, upgrade)) return settle(context, upgrade);
  if (!untried) return rollBack(context, upgrade);
  context.log.info(`${upgrade.version} has not been started yet: it is judged at the next start`);
  return "untried";
}

/** The upgrade that waits for its verdict, by root's record or, without one, by the markers. */
export function unsettledUpgrade(context: HookContext): Journal | undefined {
  return ownRecord(context) ?? markedUpgrade(context);
}

/** True where a whole new set is in place and its agent reported healthy under its version. */
export function isProven(context: HookContext, { version, files }: Journal): boolean {
  return healthyMarker(context) === version &&
    files.every(({ dest, new_sha256 }) => hashOf(dest) === new_sha256);
}

/** Ends a successful upgrade; repeatable, so that a killed one is finished by the next run. */
export function carryOutSettle(context: HookContext, journal: Journal): void {
  // Before the first `.previous` goes: the guard would put back those that are left.
  context.records.remove(ROOT_STATE.rescue);
  prunePrevious(context.paths, journal.files);
  context.records.write(ROOT_STATE.settled, {
    format: 1,
    version: journal.version,
    settled_at: context.now().toISOString(),
  });
  const { stage, records } = context;
  for (const name of [STAGE.lastUpgradeAt, STAGE.lastUpgradeVersion, STAGE.newTargets]) {
    stage?.removeMarker(name);
  }
  stage?.removeMarker(STAGE.verdict);
  records.remove(ROOT_STATE.applied);
  records.remove(ROOT_STATE.rollback);
  records.remove(ROOT_STATE.journal);
  context.log.info(`${journal.version} is healthy: the previous version was removed`);
}

/** Puts the previous version back; repeatable, so that a killed one is finished by the next run. */
export function carryOutRollback(context: HookContext, journal: Journal): void {
  const restored = swapBack(context.paths, journal.files);
  recordOutcome(context, {
    state: "rolled_back",
    version: journal.version,
    reason: journal.reason ?? "never_healthy",
    detail: journal.detail ?? "it never reported healthy",
    restored,
  });
  discardBundle(context);
  context.stage?.removeTree(STAGE.incoming);
  context.stage?.removeMarker(STAGE.ready);
  disarm(context);
  context.records.remove(ROOT_STATE.journal);
}

/**
 * Takes the upgrade out of judgement. `last_upgrade_at` stays as an empty file, as the reference
 * description has it; the version goes, because an older shell hook that found a version and a time
 * would take every later bundle for a failed one.
 */
export function disarm(context: HookContext): void {
  const { stage, records } = context;
  stage?.writeMarker(STAGE.lastUpgradeAt, "");
  for (
    const name of [
      STAGE.lastUpgradeVersion,
      STAGE.healthyMarker,
      STAGE.newTargets,
      STAGE.verdict,
    ]
  ) {
    stage?.removeMarker(name);
  }
  records.remove(ROOT_STATE.applied);
  records.remove(ROOT_STATE.rescue);
  records.remove(ROOT_STATE.attempts);
}

/** Root's record, as long as nobody else has been at the destinations since. */
function ownRecord(context: HookContext): Journal | undefined {
  const applied = context.records.applied();
  if (!applied || (stillOurs(applied.files) && !isSuperseded(applied))) return applied;
  context.records.setAside(ROOT_STATE.applied, "its destinations were changed since");
  context.records.remove(ROOT_STATE.rescue);
  return undefined;
}

/**
 * True where another hook has ended this upgrade and then applied one with files of the version
 * before, on the way back and forth between two versions: what this one put in place is the previous
 * content now.
 */
function isSuperseded({ files }: Journal): boolean {
  return files.some(({ dest, old_sha256, new_sha256 }) =>
    hashOf(dest) === old_sha256 && hashOf(previousOf(dest)) === new_sha256
  );
}

/**
 * An upgrade that another hook applied, read from the markers in the agent's directory. Those can
 * say anything, so only names that an upgrade owns count.
 */
function markedUpgrade(context: HookContext): Journal | undefined {
  const { stage } = context;
  const appliedAt = stage?.marker(STAGE.lastUpgradeAt);
  const version = stage?.marker(STAGE.lastUpgradeVersion);
  if (!stage || !appliedAt || !version) return undefined;
  const files = isPlainVersion(version) ? markedFiles(context) : [];
  if (files.length === 0) {
    context.log.warn(`the markers name an upgrade to ${version} with nothing to settle or restore`);
    disarm(context);
    return undefined;
  }
  return {
    format: 1,
    op: "apply",
    version,
    applied_at: appliedAt.slice(0, 64),
    bundle: "",
    armed: true,
    files: files.sort(agentLast(context.paths)),
  };
}

function markedFiles(context: HookContext): FileChange[] {
  const created = new Set(context.stage?.marker(STAGE.newTargets)?.split("\n") ?? []);
  const files: FileChange[] = [];
  for (const { target, isPlugin } of ownedTargets(context.paths.roots)) {
    const previous = hashOf(previousOf(target));
    const current = hashOf(target);
    if (previous !== undefined) {
      files.push({ dest: target, old_sha256: previous, new_sha256: current ?? previous });
    } else if (isPlugin && current !== undefined && created.has(target)) {
      files.push({ dest: target, old_sha256: null, new_sha256: current });
    }
  }
  return files;
}

function settle(context: HookContext, upgrade: Journal): Judgement {
  const journal: Journal = { ...upgrade, op: "settle" };
  context.records.write(ROOT_STATE.journal, journal);
  carryOutSettle(context, journal);
  return "settled";
}

function healthyMarker(context: HookContext): string {
  return context.stage?.marker(STAGE.healthyMarker) ?? "";
}

function rollBack(context: HookContext, upgrade: Journal): Judgement {
  const missing = missingForReturn(upgrade.files);
  if (missing.length > 0) {
    recordOutcome(context, {
      state: "kept",
      version: upgrade.version,
      reason: "old_set_missing",
      detail: `not healthy, but the previous ${missing.join(", ")} is gone: the new version stays`,
    });
    disarm(context);
    return "kept";
  }
  const journal: Journal = { ...upgrade, op: "rollback", ...whyNotHealthy(context, upgrade) };
  context.records.write(ROOT_STATE.journal, journal);
  carryOutRollback(context, journal);
  return "rolled_back";
}

/** Why an upgrade that is not proven goes back, from whatever its agent left. */
export function whyNotHealthy(
  context: HookContext,
  { version }: Journal,
): { reason: RollbackReason; detail: string } {
  const marker = healthyMarker(context);
  if (marker === version) {
    return { reason: "incomplete", detail: "not every file of the new version is in place" };
  }
  if (marker !== "") {
    return { reason: "other_version", detail: `the agent reported ${oneLine(marker)} as healthy` };
  }
  const verdict = context.stage?.marker(STAGE.verdict);
  if (verdict) return { reason: "verdict", detail: oneLine(verdict) };
  const exit = lastExit(context);
  if (exit) return { reason: "exited", detail: `never healthy; the agent ended: ${exit}` };
  return { reason: "never_healthy", detail: "the agent never reported healthy" };
}

/** How the agent last ended, as the unit's ExecStopPost wrote it. */
function lastExit(context: HookContext): string | undefined {
  try {
    const path = join(context.paths.rootState, ROOT_STATE.lastExit);
    const text = readForeignText(path, { maxBytes: 1024 });
    return text && oneLine(text);
  } catch (error) {
    context.log.warn(messageOf(error));
    return undefined;
  }
}

function oneLine(text: string): string {
  return text.trim().replaceAll(/\s+/g, " ").slice(0, MAX_REASON_CHARS);
}
