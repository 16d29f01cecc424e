/** `ongrid-edge status`: what is staged here, and how the last upgrade ended. */

import type { Output } from "../../cli/output.ts";
import type { EdgePaths } from "../paths.ts";
import { type StagedRecord, StageStore } from "./store.ts";
import { readUpgradeState, type UpgradeReport } from "./upgrade_state.ts";

/** What `status --json` prints; `null` where there is nothing. */
export interface Status {
  readonly version: string;
  readonly stage_dir: string;
  /** Complete, waits for `apply_package`. */
  readonly staged: StagedRecord | null;
  /** Complete, applied by the next start. */
  readonly ready: StagedRecord | null;
  /** Version of the upgrade that waits for its verdict. */
  readonly armed: string | null;
  /** Version that a manager accepted last. */
  readonly healthy: string | null;
  /** True where the next start would roll back. */
  readonly unsettled: boolean;
  readonly last_upgrade: UpgradeReport;
}

/** Collects the status; absent files count as nothing. */
export function readStatus(paths: EdgePaths, version: string): Status {
  const store = new StageStore(paths.stage);
  const { armed, healthy, unsettled, report } = readUpgradeState(paths, version);
  return {
    version,
    stage_dir: paths.stage,
    staged: store.staged() ?? null,
    ready: store.ready() ?? null,
    armed: armed ?? null,
    healthy: healthy ?? null,
    unsettled,
    last_upgrade: report,
  };
}

/** Prints the status: lines for people, one object with `--json`. */
export function printStatus(
  status: Status,
  output: Pick<Output, "result">,
  options: { json: boolean },
): void {
  output.result(options.json ? status : statusText(status));
}

function statusText(status: Status): string {
  const { staged, ready, armed, last_upgrade: last } = status;
  const lines: [string, string][] = [
    ["version", status.version],
    ["ready to apply", ready ? describe(ready) : "nothing"],
    ["staged, waiting", staged ? describe(staged) : "nothing"],
    ["on trial", armed === null ? "nothing" : `${armed}, ${verdict(status)}`],
    ["last healthy", status.healthy ?? "none yet"],
    ["last upgrade", lastLine(last)],
  ];
  return lines.map(([name, text]) => `${`${name}:`.padEnd(17)}${text}`).join("\n");
}

function describe(record: StagedRecord): string {
  return `${record.version}, ${record.manifest_files} files, staged ${record.staged_at}`;
}

function verdict(status: Status): string {
  return status.unsettled
    ? "not accepted by a manager yet: the next start rolls it back"
    : "accepted: the next start settles it";
}

function lastLine({ state, version, reason, at }: UpgradeReport): string {
  if (state === "none") return "none";
  const text = `${version} ${state.replace("_", " ")}${at ? ` ${at}` : ""}`;
  return reason === undefined ? text : `${text}: ${reason}`;
}
