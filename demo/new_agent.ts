/**
 * The agent of the demo's new version. It is the ordinary one, but it has retired a setting: where a
 * host still has that setting, it says so and ends, before it connects to anything. That is the
 * "config drift" of the reference description, on purpose and on one host only.
 */

import { run } from "../edge-agent.ts";
import { UsageError } from "../lib/cli/errors.ts";
import { runMain } from "../lib/cli/main.ts";
import { systemEffects } from "../lib/edge/agent/effects.ts";
import { RETIRED_SETTING } from "./retired_setting.ts";

/** Ends with an error where the host has the retired setting, else runs the agent. */
async function runNewAgent(args: string[]): Promise<number> {
  const isService = args.length === 0;
  if (isService && Deno.env.get(RETIRED_SETTING) !== undefined) {
    throw new UsageError(`${RETIRED_SETTING} is not understood any more`, {
      hint: "Remove it from ongrid-edge.env.",
    });
  }
  return await run(args, systemEffects());
}

if (import.meta.main) {
  Deno.exitCode = await runMain("ongrid-edge", () => runNewAgent(Deno.args));
}
