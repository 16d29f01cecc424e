import { dirname, join } from "@std/path";
import { InvalidBundleError } from "../cli/errors.ts";
import { copyVerified } from "../fs/copy.ts";
import { ensureDirectory, syncFile, writeFileDurable } from "../fs/durable.ts";
import { lstatOrUndefined } from "../fs/lstat.ts";
import { freeBytes } from "../fs/space.ts";
import {
  type ApplyResult,
  attemptUpgrade,
  beginAttempt,
  clearStaging,
  forgetAttempts,
  NoSpaceError,
  noteTargets,
  removeNew,
} from "./attempts.ts";
import { claimBundle, isBundleWaiting } from "./claim.ts";
import type { HookContext } from "./context.ts";
import { missingDirectories, removeDirectories } from "./directories.ts";
import { ROOT_STATE, STAGE } from "./paths.ts";
import { type Plan, planBundle, planDirectories, type PlannedFile, sha256Hex } from "./plan.ts";
import type { Journal } from "./records.ts";
import { hashOf, newOf, swapBack, swapForward, syncTargets } from "./swap.ts";

/**
 * Mode 2: applies the staged bundle, or leaves everything as it was and records why.
 * Source: `spec/upgrade.md`, "systemd's ExecStartPre runs the swap".
 */
export function applyBundle(context: HookContext): ApplyResult {
  if (!isBundleWaiting(context)) {
    forgetAttempts(context);
    return "nothing";
  }
  const attempts = beginAttempt(context);
  if (!attempts) return "refused";
  return attemptUpgrade(context, () => {
    const bundle = claimBundle(context);
    if (!bundle) return "nothing";
    const plan = planBundle(context, bundle, attempts.targets);
    noteTargets(context, attempts, plan);
    return applyPlan(context, plan);
  });
}

/**
 * Everything that changes destinations, for a bundle and for a single file alike. Up to the journal
 * nothing has happened; from the journal on the upgrade happens, whoever is killed.
 *
 * @throws {InvalidBundleError} a file is not what the manifest says; nothing is left behind.
 * @throws the error of a file operation; the old set is in place and nothing is left behind.
 */
export function applyPlan(context: HookContext, plan: Plan): ApplyResult {
  if (plan.files.length === 0) {
    context.log.info(`${plan.version || "the staged file"} is installed already`);
    clearStaging(context);
    return "current";
  }
  const journal = begin(context, plan);
  try {
    swapIn(context, journal);
  } catch (error) {
    takeBack(context, journal);
    throw error;
  }
  conclude(context, journal);
  return "applied";
}

/** Up to the journal. On an error everything that was made for it is taken away again. */
function begin(context: HookContext, plan: Plan): Journal {
  const missing = missingDirectories(planDirectories(plan));
  try {
    prepare(context, plan);
    return commit(context, plan);
  } catch (error) {
    removeNew(context, plan.files);
    removeDirectories(context, missing);
    throw error;
  }
}

/** Copies every changed file beside its destination, verified on the way, and syncs it. */
function prepare(context: HookContext, plan: Plan): void {
  for (const directory of planDirectories(plan)) ensureDirectory(directory, { mode: 0o755 });
  checkSpace(plan.files);
  for (const file of plan.files) prepareFile(context, file);
  for (const file of plan.files) syncFile(newOf(file.dest));
  syncTargets(context.paths, plan.files);
}

function prepareFile(context: HookContext, file: PlannedFile): void {
  const { source, dest, mode, new_sha256 } = file;
  if (isPrepared(file)) return;
  if (lstatOrUndefined(newOf(dest))) Deno.removeSync(newOf(dest));
  const owner = context.isRoot ? { owner: { uid: 0, gid: 0 } } : {};
  const { sha256 } = copyVerified({
    from: source,
    to: newOf(dest),
    mode,
    sync: "later",
    ...owner,
  });
  if (sha256 !== new_sha256) {
    throw new InvalidBundleError(`sha mismatch for ${source} (got ${sha256}, want ${new_sha256})`);
  }
}

/** A run that was killed while it copied leaves complete files, which need no second copy. */
function isPrepared({ dest, mode, new_sha256 }: PlannedFile): boolean {
  const info = lstatOrUndefined(newOf(dest));
  return info !== undefined && info.isFile && ((info.mode ?? 0) & 0o7777) === mode &&
    hashOf(newOf(dest)) === new_sha256;
}

/** @throws {OngridError} naming the directory and what is missing. */
function checkSpace(files: readonly PlannedFile[]): void {
  const needed = new Map<number, { bytes: number; directory: string }>();
  for (const file of files) {
    if (lstatOrUndefined(newOf(file.dest))) continue;
    const directory = dirname(file.dest);
    const device = Deno.statSync(directory).dev;
    const { bytes } = needed.get(device) ?? { bytes: 0 };
    needed.set(device, { bytes: bytes + Deno.lstatSync(file.source).size, directory });
  }
  for (const { bytes, directory } of needed.values()) {
    const free = Number(freeBytes(directory));
    if (free >= bytes) continue;
    throw new NoSpaceError(`${directory} has ${free} bytes free, the upgrade needs ${bytes}`, {
      hint: "free some space; the bundle stays staged and the next start tries again",
    });
  }
}

/** From the journal on there is only forward, or back as a whole. */
function commit(context: HookContext, plan: Plan): Journal {
  const journal: Journal = {
    format: 1,
    op: "apply",
    version: plan.version,
    applied_at: context.now().toISOString(),
    bundle: plan.bundle,
    armed: plan.armed,
    files: plan.files.map(({ dest, old_sha256, new_sha256 }) => ({ dest, old_sha256, new_sha256 })),
  };
  context.stage?.mustRemoveMarker(STAGE.healthyMarker);
  context.records.write(ROOT_STATE.journal, journal);
  return journal;
}

/**
 * What the journal says, up to the new set being in place. A run that finds the journal of a killed
 * one calls this again; a marker that an agent wrote in between says nothing about the whole set.
 */
export function swapIn(context: HookContext, journal: Journal): void {
  context.stage?.removeMarker(STAGE.healthyMarker);
  if (journal.armed) arm(context, journal);
  swapForward(context.paths, journal.files);
}

/**
 * Clears the staging and turns the journal into `applied.json`. Nothing may come after that rename,
 * not even a sync: a run killed behind it would be taken for a start of the new agent, while a
 * rename lost in a power cut only costs one more completion.
 */
export function conclude(context: HookContext, journal: Journal): void {
  clearStaging(context);
  context.log.info(
    `applied ${journal.version || "the staged file"}: ${journal.files.length} file(s) swapped` +
      (journal.armed ? "; its health is judged at the next start" : ""),
  );
  const { rootState } = context.paths;
  if (!journal.armed) return context.records.remove(ROOT_STATE.journal);
  Deno.renameSync(join(rootState, ROOT_STATE.journal), join(rootState, ROOT_STATE.applied));
}

/** The list for the guard, and the markers that people and the shell tooling's hook go by. */
function arm(context: HookContext, journal: Journal): void {
  const { records, paths, stage } = context;
  const kept = journal.files.filter(({ old_sha256 }) => old_sha256 !== null);
  const created = journal.files.filter(({ old_sha256 }) => old_sha256 === null);
  const lines = (files: typeof kept) => files.map(({ dest }) => `${dest}\n`).join("");
  const rescue = join(paths.rootState, ROOT_STATE.rescue);
  // A run that finishes a killed one must get by where there is no room to write any more.
  const list = new TextEncoder().encode(lines(kept));
  if (hashOf(rescue) !== sha256Hex(list)) writeFileDurable(rescue, list, { mode: 0o644 });
  records.remove(ROOT_STATE.lastExit);
  stage?.removeMarker(STAGE.verdict);
  stage?.writeMarker(STAGE.newTargets, lines(created));
  stage?.writeMarker(STAGE.lastUpgradeVersion, `${journal.version}\n`);
  stage?.writeMarker(STAGE.lastUpgradeAt, `${journal.applied_at}\n`);
}

/**
 * Undoes an upgrade that could not be completed. The journal goes last: killed before, the next run
 * finds that it cannot go forward and comes here again.
 */
export function takeBack(context: HookContext, journal: Journal): void {
  swapBack(context.paths, journal.files);
  for (const marker of [STAGE.lastUpgradeAt, STAGE.lastUpgradeVersion, STAGE.newTargets]) {
    context.stage?.removeMarker(marker);
  }
  context.records.remove(ROOT_STATE.rescue);
  context.records.remove(ROOT_STATE.journal);
}
