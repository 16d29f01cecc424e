import { parseCommand } from "./lib/cli/args.ts";
import { runMain } from "./lib/cli/main.ts";
import { createOutput } from "./lib/cli/output.ts";
import { untilSignalled } from "./lib/cli/signals.ts";
import { VERSION } from "./lib/cli/version.ts";
import { MANAGER_COMMAND } from "./lib/fleet/command.ts";
import { edgeCommand, tokenCommand } from "./lib/fleet/edge_command.ts";
import { type Effects, systemEffects } from "./lib/fleet/effects.ts";
import { runManager } from "./lib/fleet/run_command.ts";

/** Runs `manager` with these arguments; returns its exit code. */
export async function run(args: string[], effects: Effects): Promise<number> {
  const parsed = parseCommand(MANAGER_COMMAND, args);
  if (parsed.kind !== "run") {
    createOutput().result(parsed.text);
    return 0;
  }
  const { options, positionals } = parsed;
  const output = createOutput(options);
  const registry = { ...options, output, effects };
  switch (parsed.command) {
    case "run": {
      const env = (name: string) => Deno.env.get(name);
      const service = { options: parsed.options, env, version: VERSION, output, effects };
      return await untilSignalled((stop) => runManager({ ...service, stop }));
    }
    case "edge": {
      const [action, name] = positionals;
      return await edgeCommand({ ...registry, action, name });
    }
    case "token": {
      const [email = ""] = positionals;
      return await tokenCommand({ ...registry, email, ttlMs: parsed.options.ttl });
    }
  }
}

if (import.meta.main) {
  Deno.exit(await runMain("manager", () => run(Deno.args, systemEffects)));
}
