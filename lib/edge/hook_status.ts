import { forecast, type ForecastStep } from "./forecast.ts";
import type { HookContext } from "./context.ts";
import { STAGE } from "./paths.ts";
import type { Outcome, Settled } from "./records.ts";

/** What `apply-pending-upgrade --status` knows of this host; `null` where there is nothing. */
export interface HookStatus {
  /** The upgrade that waits for its verdict. */
  readonly armed: { version: string; applied_at: string } | null;
  /** The version whose agent a manager accepted last. */
  readonly healthy: string | null;
  /** The last upgrade that proved healthy. */
  readonly settled: Settled | null;
  /** The last upgrade that did not stay, and why. */
  readonly last_failure: Outcome | null;
  /** What the next start of the service would do, in order. */
  readonly next_start: readonly ForecastStep[];
}

/** Collects the status without changing anything. */
export function hookStatus(context: HookContext): HookStatus {
  const applied = context.records.applied();
  return {
    armed: applied ? { version: applied.version, applied_at: applied.applied_at } : null,
    healthy: context.stage?.marker(STAGE.healthyMarker) ?? null,
    settled: context.records.settled() ?? null,
    last_failure: context.records.outcome() ?? null,
    next_start: forecast(context),
  };
}

/** The status as lines for people. */
export function statusText(status: HookStatus): string {
  const { armed, settled, last_failure: failure } = status;
  const lines: [string, string][] = [
    ["on trial", armed ? `${armed.version}, since ${armed.applied_at}` : "nothing"],
    ["last healthy", status.healthy ?? "none yet"],
    ["last settled", settled ? `${settled.version}, ${settled.settled_at}` : "none yet"],
    [
      "last failure",
      failure
        ? `${failure.version || "an upgrade"} ${failure.state.replace("_", " ")} ` +
          `${failure.rolled_back_at}: ${failure.detail}`
        : "none",
    ],
    ...status.next_start.map((each): [string, string] => ["next start", stepText(each)]),
  ];
  return lines.map(([name, text]) => `${`${name}:`.padEnd(14)}${text}`).join("\n");
}

/** One step as a line: `apply v1.2.3: 4 file(s) change`. */
export function stepText({ action, version, detail }: ForecastStep): string {
  return `${[action.replace("_", " "), version].filter(Boolean).join(" ")}: ${detail}`;
}

/** One step with the destinations that it would change, a line each. */
export function stepLines(each: ForecastStep): string {
  return [stepText(each), ...each.files.map((file) => `  ${file}`)].join("\n");
}
