import { describeError } from "../cli/errors.ts";
import type { EdgePaths } from "./paths.ts";
import type { Outcome, Records } from "./records.ts";
import type { StageDir } from "./stage_dir.ts";
import { ROOT_STATE } from "./paths.ts";

/** Where the hook's lines for people go. */
export interface Log {
  info(message: string): void;
  warn(message: string): void;
  error(message: string): void;
}

/** Everything one run of the hook works with. */
export interface HookContext {
  readonly paths: EdgePaths;
  readonly records: Records;
  /** Undefined where no agent ever had a state directory. */
  readonly stage: StageDir | undefined;
  readonly log: Log;
  readonly now: () => Date;
  /** True where owners can be set; false in a test root of an ordinary user. */
  readonly isRoot: boolean;
}

/** Records what became of an upgrade that did not stay, where the agent can read it, and logs it. */
export function recordOutcome(
  context: HookContext,
  outcome: Omit<Outcome, "format" | "rolled_back_at" | "restored"> & { restored?: number },
): void {
  const { state, version, reason, detail, restored = 0 } = outcome;
  context.log.warn(`${state.replace("_", " ")} ${version || "the staged upgrade"}: ${detail}`);
  context.records.write(ROOT_STATE.rollback, {
    format: 1,
    state,
    version,
    rolled_back_at: context.now().toISOString(),
    reason,
    detail,
    restored,
  });
}

/** The text of an error, whatever was thrown. */
export function messageOf(error: unknown): string {
  return describeError(error).message;
}
