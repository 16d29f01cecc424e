/**
 * Builds the programs into `build/<target>/`: `deno task build`. Compiled, one standalone binary per
 * program, where the base binary for that is at hand; else bundled, one script per program and one
 * Deno runtime for all of them.
 */

import { fromFileUrl, join, resolve } from "@std/path";
import { defineCommand, parseCommand } from "../lib/cli/args.ts";
import { UsageError } from "../lib/cli/errors.ts";
import { runMain } from "../lib/cli/main.ts";
import { createOutput } from "../lib/cli/output.ts";
import { VERSION } from "../lib/cli/version.ts";
import { buildPrograms } from "../lib/release/build.ts";
import { chooseFlavour, type FlavourChoice } from "../lib/release/flavour.ts";
import { hostTarget, parseTarget, type Target } from "../lib/release/targets.ts";

/** The command line; also what `--help` prints. */
export const COMMAND = defineCommand({
  name: "build",
  summary: "Build the programs of this checkout",
  options: {
    target: {
      type: "string",
      placeholder: "NAME",
      help: "linux-amd64, linux-arm64, darwin-amd64 or darwin-arm64; default: this machine",
    },
    version: {
      type: "string",
      placeholder: "VERSION",
      help: "What the programs print for --version",
      default: VERSION,
      env: "ONGRID_VERSION",
    },
    out: { type: "string", placeholder: "DIR", help: "Default: build/<target>" },
    flavour: {
      type: "string",
      placeholder: "NAME",
      help: "compiled or bundled; default: compiled where the base binary is on this machine",
    },
  },
  environment: { DENORT_BIN: "The base binary for the compiled flavour" },
});

const ROOT = fromFileUrl(new URL("..", import.meta.url)).replace(/\/$/, "");

/** Runs the build; returns the exit code. */
export async function run(args: readonly string[]): Promise<number> {
  const parsed = parseCommand(COMMAND, args);
  const output = createOutput();
  if (parsed.kind !== "run") {
    output.result(parsed.text);
    return 0;
  }
  const { options } = parsed;
  const target = options.target === undefined ? hostTarget() : parseTarget(options.target);
  const { flavour, reason } = chosen(options.flavour, target);
  output.info(`${flavour} flavour: ${reason}`);
  const build = await buildPrograms({
    root: ROOT,
    target,
    version: options.version,
    flavour,
    directory: resolve(options.out ?? join(ROOT, "build", target)),
    output,
  });
  output.result(build.directory);
  return 0;
}

function chosen(asked: string | undefined, target: Target): FlavourChoice {
  switch (asked) {
    case undefined:
      return chooseFlavour({ target, env: (name) => Deno.env.get(name), isFile });
    case "compiled":
    case "bundled":
      return { flavour: asked, reason: "asked for" };
    default:
      throw new UsageError(`"${asked}" is not a flavour`, { hint: "compiled or bundled." });
  }
}

function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch (e) {
    if (e instanceof Deno.errors.NotFound) return false;
    throw e;
  }
}

if (import.meta.main) {
  Deno.exit(await runMain("build", () => run(Deno.args)));
}
