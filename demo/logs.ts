/** The ends of the logs, for when something went wrong: they are gone with the demo. */

import { join } from "@std/path";
import type { Stage } from "./stage.ts";

/** Lines of each log that are shown. */
const SHOWN_LINES = 8;

/** Shows the last lines of the manager's log and of each edge's. */
export function showLogs({ directory, output }: Stage): void {
  const hosts = join(directory, "hosts");
  const logs = [
    join(directory, "manager/manager.log"),
    ...namesIn(hosts).map((name) => join(hosts, name, "ongrid-edge.log")),
  ];
  for (const path of logs) {
    const lines = textOf(path).trimEnd().split("\n").slice(-SHOWN_LINES);
    output.warn([`the end of ${path}:`, ...lines.map((line) => `  ${line}`)].join("\n"));
  }
}

function namesIn(directory: string): string[] {
  return ifPresent(() => [...Deno.readDirSync(directory)].map(({ name }) => name).sort(), []);
}

function textOf(path: string): string {
  return ifPresent(() => Deno.readTextFileSync(path), "(nothing)");
}

function ifPresent<T>(read: () => T, otherwise: T): T {
  try {
    return read();
  } catch (e) {
    if (e instanceof Deno.errors.NotFound) return otherwise;
    throw e;
  }
}
