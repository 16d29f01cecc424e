import { ForeignFileError, InvalidBundleError, OngridError, systemCode } from "../cli/errors.ts";
import { lstatOrUndefined } from "../fs/lstat.ts";
import { claimedVersion, discardBundle, isLegacyWaiting } from "./claim.ts";
import { type HookContext, messageOf, recordOutcome } from "./context.ts";
import { ROOT_STATE, STAGE } from "./paths.ts";
import type { Plan } from "./plan.ts";
import type { Attempts } from "./records.ts";
import { newOf } from "./swap.ts";

/** How often a bundle is begun before it is dropped; the agent's start must not wait for ever. */
export const MAX_ATTEMPTS = 3;

/** Too little room for the new files. The bundle stays, and the attempt does not count. */
export class NoSpaceError extends OngridError {
  override readonly name = "NoSpaceError";
}

/** What mode 2 or 3 did. */
export type ApplyResult = "nothing" | "applied" | "current" | "refused" | "deferred";

/** Turns what may go wrong while an upgrade is applied into a record and a result. */
export function attemptUpgrade(context: HookContext, act: () => ApplyResult): ApplyResult {
  try {
    return act();
  } catch (error) {
    return isBundleAtFault(error) ? refuse(context, error) : defer(context, error);
  }
}

/** A trap where a file should be is the bundle's fault; a file that the disk cannot read is not. */
function isBundleAtFault(error: unknown): error is OngridError {
  return error instanceof InvalidBundleError ||
    (error instanceof ForeignFileError && systemCode(error) === undefined);
}

/** Removes the prepared files of these destinations; one that cannot be removed is a warning. */
export function removeNew(context: HookContext, files: readonly { dest: string }[]): void {
  for (const { dest } of files) {
    try {
      if (lstatOrUndefined(newOf(dest))) Deno.removeSync(newOf(dest));
    } catch (error) {
      context.log.warn(`cannot remove ${newOf(dest)}: ${messageOf(error)}`);
    }
  }
}

/** Empties the staging after its upgrade; whatever an older agent left beside it goes, too. */
export function clearStaging(context: HookContext): void {
  discardBundle(context);
  for (
    const name of [
      STAGE.ready,
      STAGE.legacyPending,
      STAGE.legacySha256,
      STAGE.legacyVersion,
    ]
  ) {
    context.stage?.removeMarker(name);
  }
  context.records.remove(ROOT_STATE.attempts);
}

/** Counts durably before anything can kill this run; undefined when the bundle was dropped. */
export function beginAttempt(context: HookContext): Attempts | undefined {
  const before = context.records.attempts() ?? { count: 0, bundle: "", targets: [] };
  if (before.count < MAX_ATTEMPTS) {
    const attempts = { ...before, count: before.count + 1 };
    context.records.write(ROOT_STATE.attempts, attempts);
    return attempts;
  }
  recordOutcome(context, {
    state: "dropped",
    version: claimedVersion(context),
    reason: "attempts",
    detail: `begun ${before.count} times and never finished`,
  });
  dropBundle(context, before.targets);
  return undefined;
}

/** From here on the attempts count for this very bundle, and its `.new` files are known. */
export function noteTargets(context: HookContext, attempts: Attempts, plan: Plan): void {
  const targets = plan.files.map(({ dest }) => dest);
  const isSame = attempts.bundle === plan.bundle;
  const stale = attempts.targets.filter((target) => !targets.includes(target));
  removeNew(context, stale.map((dest) => ({ dest })));
  context.records.write(ROOT_STATE.attempts, {
    count: isSame ? attempts.count : 1,
    bundle: plan.bundle,
    targets,
  });
}

/**
 * A run that was killed while it dropped a bundle leaves its count, which is not the next one's, and
 * markers of what is not there any more. The count goes last, so it tells that there is something.
 */
export function forgetAttempts(context: HookContext): void {
  const attempts = isLegacyWaiting(context) ? undefined : context.records.attempts();
  if (!attempts) return;
  removeNew(context, attempts.targets.map((dest) => ({ dest })));
  clearStaging(context);
}

/** The bundle is wrong and will not get better: it goes, and the reason stays. */
function refuse(context: HookContext, error: OngridError): ApplyResult {
  recordOutcome(context, {
    state: "refused",
    version: claimedVersion(context),
    reason: "invalid",
    detail: messageOf(error),
  });
  dropBundle(context, context.records.attempts()?.targets ?? []);
  return "refused";
}

/** This host could not do it now: the bundle stays, and the next start tries again. */
function defer(context: HookContext, error: unknown): ApplyResult {
  const isSpace = error instanceof NoSpaceError;
  recordOutcome(context, {
    state: "deferred",
    version: claimedVersion(context),
    reason: isSpace ? "no_space" : "io",
    detail: messageOf(error),
  });
  const attempts = context.records.attempts();
  if (isSpace && attempts) context.records.write(ROOT_STATE.attempts, { ...attempts, count: 0 });
  return "deferred";
}

function dropBundle(context: HookContext, targets: readonly string[]): void {
  removeNew(context, targets.map((dest) => ({ dest })));
  context.stage?.removeTree(STAGE.incoming);
  clearStaging(context);
}
