import { dirname } from "@std/path";
import { InvalidBundleError, systemCode } from "../cli/errors.ts";
import { isPlainVersion } from "../bundle/version.ts";
import { copyVerified } from "../fs/copy.ts";
import { ensureDirectory, renameDurable } from "../fs/durable.ts";
import { lstatOrUndefined } from "../fs/lstat.ts";
import { applyPlan } from "./apply.ts";
import { type ApplyResult, attemptUpgrade, beginAttempt, noteTargets } from "./attempts.ts";
import { claimedPaths, isLegacyWaiting, MAX_FILE_BYTES } from "./claim.ts";
import { type HookContext } from "./context.ts";
import { STAGE } from "./paths.ts";
import { checkTarget, hostKey, type Plan } from "./plan.ts";
import { hashOf } from "./swap.ts";

/**
 * Mode 3: one file, staged by an agent from before there were bundles. With `pending.version` it is
 * armed and judged like a bundle; without, nothing can tell whether it is healthy, and it is applied
 * as the reference description has it.
 * Source: `spec/upgrade.md`, "systemd's ExecStartPre runs the swap".
 */
export function applyLegacyFile(context: HookContext): ApplyResult {
  const { stage } = context;
  const { legacy } = claimedPaths(context);
  if (!stage || !isLegacyWaiting(context)) return "nothing";
  const attempts = beginAttempt(context);
  if (!attempts) return "refused";
  return attemptUpgrade(context, () => {
    const expected = stage.marker(STAGE.legacySha256)?.slice(0, 64).toLowerCase() ?? "";
    const version = stage.marker(STAGE.legacyVersion) ?? "";
    if (version !== "" && !isPlainVersion(version)) {
      throw new InvalidBundleError(`${STAGE.legacyVersion} is not a plain version string`);
    }
    if (hostKey(context)) {
      throw new InvalidBundleError("a single file has no signature, and a key is pinned");
    }
    claimFile(context, legacy);
    const actual = hashOf(legacy);
    if (actual === undefined || actual !== expected) {
      throw new InvalidBundleError(`sha mismatch for ${STAGE.legacyPending} (want ${expected})`);
    }
    const plan = planFile(context, { source: legacy, sha256: actual, version });
    noteTargets(context, attempts, plan);
    stage.keepCopy(STAGE.legacyPrevious, context.paths.legacyTarget);
    return applyPlan(context, plan);
  });
}

function planFile(
  context: HookContext,
  file: { source: string; sha256: string; version: string },
): Plan {
  const { legacyTarget: dest, roots } = context.paths;
  checkTarget(roots, dest, [dest]);
  const old = hashOf(dest) ?? null;
  const change = { dest, source: file.source, mode: 0o755, old_sha256: old };
  return {
    version: file.version,
    bundle: file.sha256,
    armed: file.version !== "",
    files: old === file.sha256 ? [] : [{ ...change, new_sha256: file.sha256 }],
  };
}

/** Moves the file out of its owner's reach; a newer one replaces what a killed run had claimed. */
function claimFile(context: HookContext, legacy: string): void {
  const { stage } = context;
  if (!stage?.lstat(STAGE.legacyPending)) return;
  ensureDirectory(dirname(legacy), { mode: 0o700 });
  try {
    renameDurable(stage.at(STAGE.legacyPending), legacy);
  } catch (error) {
    if (systemCode(error) !== "EXDEV") throw error;
    if (lstatOrUndefined(legacy)) Deno.removeSync(legacy);
    const from = stage.at(STAGE.legacyPending);
    copyVerified({ from, to: legacy, mode: 0o600, maxBytes: MAX_FILE_BYTES });
    stage.removeMarker(STAGE.legacyPending);
  }
}
