/**
 * The root hook before every start of the agent (`ExecStartPre`). Settles or takes back the upgrade
 * before, applies the one that is staged, and always lets the agent start: whatever happens, the
 * files at the destinations are one complete set, all old or all new.
 *
 * Source: `spec/upgrade.md`, "systemd's ExecStartPre runs the swap".
 */
import { defineCommand, parseCommand } from "./lib/cli/args.ts";
import { describeError } from "./lib/cli/errors.ts";
import { runMain } from "./lib/cli/main.ts";
import { createOutput, type Output } from "./lib/cli/output.ts";
import { applyBundle } from "./lib/edge/apply.ts";
import type { HookContext } from "./lib/edge/context.ts";
import { inspectionContext, withHookContext } from "./lib/edge/hook.ts";
import { hookStatus, statusText, stepLines } from "./lib/edge/hook_status.ts";
import { applyLegacyFile } from "./lib/edge/legacy.ts";
import { edgePaths } from "./lib/edge/paths.ts";
import { finishingCutOff, finishKilledRun } from "./lib/edge/recover.ts";
import { isUntried, settleOrRollBack } from "./lib/edge/settle.ts";

/** The command line; also what `--help` prints. */
export const COMMAND = defineCommand({
  name: "apply-pending-upgrade",
  summary: "Settle, roll back or apply an upgrade before the ongrid edge agent starts",
  options: {
    status: { type: "boolean", help: "Print what is staged, on trial and done; change nothing" },
    "dry-run": {
      type: "boolean",
      help: "Print what a start would do, file by file; change nothing",
    },
    json: { type: "boolean", help: "Print events and the result as JSON lines" },
    strict: { type: "boolean", help: "Exit with 1 when something could not be done" },
  },
  environment: {
    ONGRID_EDGE_UPGRADE_STAGE_DIR: "The agent's state directory",
    ONGRID_EDGE_UPGRADE_BIN_DIR: "Where the agent is installed",
    ONGRID_EDGE_UPGRADE_LIB_DIR: "Where plugins, hook and runtime are installed",
    ONGRID_EDGE_UPGRADE_LEGACY_TARGET: "What a single-file upgrade replaces",
    ONGRID_EDGE_UPGRADE_PUBLIC_KEY: "The key that bundles must be signed with",
    ONGRID_EDGE_UPGRADE_ROOT_STATE_DIR: "Root's own records",
  },
  notes: "Exits with 0 whenever it could run at all, so that the agent starts.",
});

const now = () => new Date();

/** What one run did, for the exit code of `--strict`. */
type Result = "done" | "failed";

/** Runs the hook; the exit code is 0 unless `--strict` was given and something failed. */
export function run(
  args: readonly string[],
  env: (name: string) => string | undefined = (name) => Deno.env.get(name),
): number {
  const parsed = parseCommand(COMMAND, args, env);
  if (parsed.kind !== "run") {
    createOutput({ env }).result(parsed.text);
    return 0;
  }
  const output = createOutput({ env, json: parsed.options.json });
  try {
    if (parsed.options.status || parsed.options["dry-run"]) {
      return inspect(env, output, parsed.options);
    }
    const result = upgradeBeforeStart(env, output);
    if (parsed.options.json) output.result({ result });
    return result === "failed" && parsed.options.strict ? 1 : 0;
  } catch (error) {
    const { message, hint } = describeError(error);
    output.error(hint === undefined ? message : `${message}\n${hint}`);
    return parsed.options.strict ? 1 : 0;
  }
}

/** Looks and tells; takes no lock, so that it can be asked while the agent runs. */
function inspect(
  env: (name: string) => string | undefined,
  output: Output,
  options: { status: boolean; json: boolean },
): number {
  const status = hookStatus(inspectionContext(edgePaths(env), { log: output, now }));
  if (options.json) output.result(status);
  else if (options.status) output.result(statusText(status));
  else output.result(status.next_start.map(stepLines).join("\n"));
  return 0;
}

function upgradeBeforeStart(env: (name: string) => string | undefined, log: Output): Result {
  return withHookContext(
    edgePaths(env),
    { log, now },
    (context, { waited }) =>
      finishingCutOff(context, () => threeModes(context, { waited, untried: isUntried(env) })),
  );
}

function threeModes(
  context: HookContext,
  { waited, untried }: { waited: boolean; untried: boolean },
): Result {
  // What a killed run had decided is finished first, in the direction it had decided.
  if (finishKilledRun(context) === "stop" || waited) return "done";

  // Mode 1: the upgrade before gets its verdict. After a rollback nothing else is applied.
  const verdict = settleOrRollBack(context, { untried });
  if (verdict === "rolled_back" || verdict === "untried") return "done";

  // Mode 2: the staged bundle. It supersedes a single file that was staged as well.
  const bundle = applyBundle(context);

  // Mode 3: a single file, staged by an agent from before there were bundles.
  const result = bundle === "nothing" ? applyLegacyFile(context) : bundle;

  if (result === "nothing" && verdict === "nothing") context.log.info("nothing staged");
  return result === "refused" || result === "deferred" || verdict === "kept" ? "failed" : "done";
}

if (import.meta.main) {
  Deno.exit(await runMain(COMMAND.name, () => run(Deno.args)));
}
