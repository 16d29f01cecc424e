import { join } from "@std/path";
import { ForeignFileError, InvalidBundleError } from "../cli/errors.ts";
import { lstatOrUndefined } from "../fs/lstat.ts";
import { claimedPaths, isLegacyWaiting } from "./claim.ts";
import { type HookContext, messageOf } from "./context.ts";
import { STAGE } from "./paths.ts";
import { planBundle } from "./plan.ts";
import type { Journal } from "./records.ts";
import { isProven, unsettledUpgrade, whyNotHealthy } from "./settle.ts";
import { hashOf, missingForReturn } from "./swap.ts";

/** One thing that the next start of the service would do. */
export interface ForecastStep {
  readonly action:
    | "finish"
    | "settle"
    | "roll_back"
    | "keep"
    | "apply"
    | "apply_file"
    | "refuse"
    | "nothing";
  readonly version: string;
  readonly detail: string;
  /** The destinations that would change. */
  readonly files: readonly string[];
}

/**
 * What the next start would do, in order, found out without changing anything. The bundle is
 * verified in full, so this reads as many bytes as it has.
 */
export function forecast(context: HookContext): ForecastStep[] {
  const journal = context.records.rescuedJournal() ?? context.records.journal();
  if (journal) {
    return [step("finish", journal, `a killed run left its ${journal.op} half done`)];
  }
  const upgrade = unsettledUpgrade(context);
  const verdict = upgrade && judge(context, upgrade);
  if (verdict?.action === "roll_back") return [verdict];
  const steps = [verdict, staged(context) ?? stagedFile(context)].filter((each) => !!each);
  return steps.length > 0 ? steps : [{
    action: "nothing",
    version: "",
    detail: "nothing is staged and nothing waits for a verdict",
    files: [],
  }];
}

function judge(context: HookContext, upgrade: Journal): ForecastStep {
  if (isProven(context, upgrade)) return step("settle", upgrade, "its agent reported healthy");
  const missing = missingForReturn(upgrade.files);
  if (missing.length > 0) {
    return step("keep", upgrade, `not healthy, but the previous ${missing.join(", ")} is gone`);
  }
  return step("roll_back", upgrade, whyNotHealthy(context, upgrade).detail);
}

function staged(context: HookContext): ForecastStep | undefined {
  const { bundle, next } = claimedPaths(context);
  const directory = [context.stage?.at(STAGE.incoming) ?? next, next, bundle]
    .find((path) => lstatOrUndefined(path) !== undefined);
  if (directory === undefined) return undefined;
  const refused = (detail: string): ForecastStep => ({
    action: "refuse",
    version: "",
    detail,
    files: [],
  });
  try {
    if (!Deno.lstatSync(directory).isDirectory) return refused(`${directory} is not a directory`);
    const plan = planBundle(context, directory, context.records.attempts()?.targets ?? []);
    const wrong = plan.files.find(({ source, new_sha256 }) => hashOf(source) !== new_sha256);
    if (wrong) return refused(`sha mismatch for ${wrong.source}`);
    const files = plan.files.map(({ dest }) => dest);
    const detail = files.length === 0 ? "installed already" : `${files.length} file(s) change`;
    return { action: "apply", version: plan.version, detail, files };
  } catch (error) {
    const isJudged = error instanceof InvalidBundleError || error instanceof ForeignFileError;
    if (isJudged) return refused(messageOf(error));
    throw error;
  }
}

function stagedFile(context: HookContext): ForecastStep | undefined {
  if (!context.stage || !isLegacyWaiting(context)) return undefined;
  const { legacy } = claimedPaths(context);
  const path = lstatOrUndefined(legacy) ? legacy : join(context.stage.path, STAGE.legacyPending);
  const version = context.stage.marker(STAGE.legacyVersion) ?? "";
  const isWhole = hashOf(path) === context.stage.marker(STAGE.legacySha256)?.slice(0, 64);
  return {
    action: isWhole ? "apply_file" : "refuse",
    version,
    detail: isWhole ? "a single file of an older agent" : `sha mismatch for ${path}`,
    files: isWhole ? [context.paths.legacyTarget] : [],
  };
}

function step(
  action: ForecastStep["action"],
  { version, files }: Journal,
  detail: string,
): ForecastStep {
  return { action, version, detail, files: files.map(({ dest }) => dest) };
}
