import { OngridError } from "../cli/errors.ts";
import { ensureDirectory, sweepTemporaries } from "../fs/durable.ts";
import { acquireLock } from "../fs/lock.ts";
import { join } from "@std/path";
import type { HookContext, Log } from "./context.ts";
import { onceMore } from "./once_more.ts";
import { type EdgePaths, ROOT_STATE } from "./paths.ts";
import { openRecords } from "./records.ts";
import { openStageDir } from "./stage_dir.ts";

/** What a run of the hook needs from outside. */
export interface HookEffects {
  readonly log: Log;
  readonly now: () => Date;
}

/**
 * Calls `act` as the only hook on this host.
 *
 * @param act `waited` is true where another hook was at work until now: its agent has not had a
 * start yet, so nothing may be judged.
 * @throws {OngridError} root's state directory is not root's, or cannot be made.
 */
export function withHookContext<T>(
  paths: EdgePaths,
  { log, now }: HookEffects,
  act: (context: HookContext, run: { waited: boolean }) => T,
): T {
  const isRoot = Deno.uid() === 0;
  ensureDirectory(paths.rootState, { mode: 0o755 });
  const { uid, mode } = Deno.lstatSync(paths.rootState);
  if (isRoot && (uid !== 0 || ((mode ?? 0) & 0o022) !== 0)) {
    throw new OngridError(`${paths.rootState} can be written by others than root`, {
      hint: `chown root:root ${paths.rootState}; chmod 755 ${paths.rootState}`,
    });
  }
  using lock = onceMore(() => acquireLock(join(paths.rootState, ROOT_STATE.lock)));
  sweepTemporaries(paths.rootState);
  const options = { warn: (message: string) => log.warn(message), now };
  const stage = openStageDir(paths.stage, options);
  if (stage) sweepTemporaries(stage.path);
  const records = openRecords(paths.rootState, options);
  return act({ paths, records, stage, log, now, isRoot }, { waited: lock.waited });
}

/** What the hook would see now, through records and a state directory that change nothing. */
export function inspectionContext(paths: EdgePaths, { log, now }: HookEffects): HookContext {
  const options = { warn: (message: string) => log.warn(message), now, readOnly: true };
  return {
    paths,
    records: openRecords(paths.rootState, options),
    stage: openStageDir(paths.stage, options),
    log,
    now,
    isRoot: Deno.uid() === 0,
  };
}
