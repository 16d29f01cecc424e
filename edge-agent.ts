import { parseCommand } from "./lib/cli/args.ts";
import { runMain } from "./lib/cli/main.ts";
import { createOutput } from "./lib/cli/output.ts";
import { untilSignalled } from "./lib/cli/signals.ts";
import { VERSION } from "./lib/cli/version.ts";
import { EDGE_AGENT_COMMAND } from "./lib/edge/agent/command.ts";
import { agentConfig, caCertificates } from "./lib/edge/agent/config.ts";
import { type AgentEffects, systemEffects } from "./lib/edge/agent/effects.ts";
import { createOpener } from "./lib/edge/agent/http.ts";
import { runAgent } from "./lib/edge/agent/run.ts";
import { stageByHand } from "./lib/edge/agent/stage_command.ts";
import { printStatus, readStatus } from "./lib/edge/agent/status_command.ts";
import { edgePaths } from "./lib/edge/paths.ts";

/** Runs `ongrid-edge` with these arguments; returns its exit code. */
export async function run(args: string[], effects: AgentEffects): Promise<number> {
  const parsed = parseCommand(EDGE_AGENT_COMMAND, args);
  const env = (name: string) => Deno.env.get(name);
  const paths = edgePaths(env);
  if (parsed.kind !== "run") {
    createOutput().result(parsed.text);
    return 0;
  }
  const common = { paths, version: VERSION, output: createOutput(), effects };
  switch (parsed.command) {
    case "run":
      return await untilSignalled((stop) =>
        runAgent({ ...common, config: agentConfig(env), stop })
      );
    case "stage":
      return await stageByHand({
        ...common,
        source: parsed.positionals[0] ?? "",
        sha256: parsed.options.sha256,
        ...openers(caCertificates(env)),
      });
    case "status":
      printStatus(readStatus(paths, VERSION), createOutput(parsed.options), parsed.options);
      return 0;
    case "version":
      createOutput().result(VERSION);
      return 0;
  }
}

/** The bundle is held against its sha256; where that comes from, only the certificate vouches for. */
function openers(ca: string | undefined) {
  return {
    openUrl: createOpener({ ca }),
    openTrusted: createOpener({ ca, otherwise: "well_known" }),
  };
}

if (import.meta.main) {
  Deno.exit(await runMain("ongrid-edge", () => run(Deno.args, systemEffects())));
}
