/** Shows a rollout while it goes on. */

import type { Output } from "../lib/cli/output.ts";
import { LiveTable } from "../lib/cli/live_table.ts";
import { waitFor } from "./fleet.ts";
import type { EdgeInfo, FleetApi, PushInfo, RolloutInfo } from "./fleet_api.ts";

/** How {@linkcode watchRollout} watches. */
export interface WatchOptions {
  readonly api: FleetApi;
  readonly rolloutId: number;
  readonly output: Output;
  readonly signal: AbortSignal;
}

/** How long a rollout of the demo may take, in milliseconds. */
const ROLLOUT_MS = 120_000;

const COLUMNS = ["EDGE", "VERSION", "LINK", "UPGRADE", "WHY"];

/** Shows the fleet as a table until the rollout has ended; returns how it ended. */
export async function watchRollout(options: WatchOptions): Promise<RolloutInfo> {
  const { api, rolloutId, output, signal } = options;
  const table = new LiveTable(COLUMNS, output);
  const live = output.screen?.live ?? false;
  try {
    return await waitFor(async () => {
      // In this order: an edge may be newer than its phase, but never older.
      const rollout = await api.rollout(rolloutId);
      table.update(fleetRows(await api.edges(), rollout.edges ?? [], { live }));
      return rollout.state === "running" ? undefined : rollout;
    }, { what: `rollout ${rolloutId}`, timeoutMs: ROLLOUT_MS, signal });
  } finally {
    table.finish();
  }
}

/** One row an edge. Where each change is a line of its own, less is shown. */
export function fleetRows(
  edges: readonly EdgeInfo[],
  pushes: readonly PushInfo[],
  { live }: { live: boolean },
): string[][] {
  return edges.map((edge) => {
    const push = pushes.find(({ edge_id }) => edge_id === edge.id);
    const { staging } = edge;
    const percent = live && push?.phase === "fetching" && staging?.percent
      ? ` ${staging.percent} %`
      : "";
    return [
      edge.name,
      edge.agent_version ?? "-",
      edge.status,
      push === undefined ? "" : `${push.phase.replace("_", " ")}${percent}`,
      push?.reason ?? "",
    ];
  });
}
