import { assertEquals } from "@std/assert";
import { fromFileUrl } from "@std/path";
import type { CommandSpec } from "../../lib/cli/command_spec.ts";
import { helpProblems } from "../support/help_check.ts";
import { readImportGraph } from "../support/import_graph.ts";

const ROOT = new URL("../../", import.meta.url);

Deno.test("the help of every program is what its parser takes", async () => {
  const problems: string[] = [];
  let programs = 0;
  for (const { path, masked } of readImportGraph(fromFileUrl(ROOT)).values()) {
    if (path.startsWith("lib/cli/") || !/\bdefineCommand\s*\(/.test(masked.code)) continue;
    const module: Record<string, unknown> = await import(new URL(path, ROOT).href);
    const specs = Object.values(module).filter(isCommandSpec);
    if (specs.length === 0) problems.push(`${path} does not export its command line`);
    programs += specs.length;
    problems.push(...specs.flatMap(helpProblems).map((problem) => `${path}: ${problem}`));
  }
  assertEquals(problems, []);
  assertEquals(programs > 0, true);
});

function isCommandSpec(value: unknown): value is CommandSpec {
  return typeof value === "object" && value !== null && "summary" in value && "name" in value;
}
