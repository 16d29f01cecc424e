/**
 * Runs the tests that need a real machine: `deno task test:host`, `deno task test:interop`. They are
 * excluded in deno.json, so that a plain `deno test` needs neither root nor docker; Deno has no flag
 * to take an exclusion back, so this runs it with the same configuration less that line.
 */

import { fromFileUrl, join, resolve } from "@std/path";
import { defineCommand, parseCommand } from "../lib/cli/args.ts";
import { runMain } from "../lib/cli/main.ts";
import { createOutput } from "../lib/cli/output.ts";

/** The command line; also what `--help` prints. */
export const COMMAND = defineCommand({
  name: "test-real",
  summary: "Run the tests that need a real machine",
  positionals: [
    { name: "path", help: "Directories or files of tests", multiple: true },
  ],
  options: {
    filter: { type: "string", placeholder: "TEXT", help: "Only tests whose name has this" },
  },
});

const ROOT = fromFileUrl(new URL("..", import.meta.url)).replace(/\/$/, "");

/** Runs the tests; the exit code is theirs. */
export async function run(args: readonly string[]): Promise<number> {
  const parsed = parseCommand(COMMAND, args);
  if (parsed.kind !== "run") {
    createOutput().result(parsed.text);
    return 0;
  }
  const directory = await Deno.makeTempDir({ prefix: "ongrid-test-" });
  try {
    const config = join(directory, "deno.json");
    await Deno.writeTextFile(config, JSON.stringify(await configuration()));
    const { filter } = parsed.options;
    const { code } = await new Deno.Command(Deno.execPath(), {
      args: [
        "test",
        "-A",
        `--config=${config}`,
        `--lock=${join(ROOT, "deno.lock")}`,
        "--frozen",
        ...(filter === undefined ? [] : [`--filter=${filter}`]),
        ...parsed.positionals.map((path) => resolve(path)),
      ],
    }).spawn().status;
    return code;
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

async function configuration(): Promise<Record<string, unknown>> {
  const { test: _excluded, links, ...config } = JSON.parse(
    await Deno.readTextFile(join(ROOT, "deno.json")),
  );
  return { ...config, links: links.map((path: string) => resolve(ROOT, path)) };
}

if (import.meta.main) Deno.exit(await runMain(COMMAND.name, () => run(Deno.args)));
