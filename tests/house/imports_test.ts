import { assertEquals } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { findCycle, readImportGraph } from "../support/import_graph.ts";
import {
  longFiles,
  networkOrProcess,
  nodeImports,
  strayExits,
  unknownTargets,
  wrongDirections,
} from "../support/house_rules.ts";

const ROOT = fromFileUrl(new URL("../../", import.meta.url));
const HOOK = "apply-pending-upgrade.ts";
const GRAPH = readImportGraph(ROOT);

Deno.test("the whole repository is looked at", () => {
  for (const path of ["lib/cli/errors.ts", "lib/fs/durable.ts", "lib/std/path/mod.ts"]) {
    assertEquals(GRAPH.has(path), true, path);
  }
});

Deno.test("every import can be followed", () => {
  assertEquals(unknownTargets(GRAPH), []);
});

Deno.test("no file imports itself, by whatever way round", () => {
  assertEquals(findCycle(GRAPH), undefined);
});

Deno.test("imports point one way: entry points, areas, bundle and tunnel, fs, cli, std", () => {
  assertEquals(wrongDirections(GRAPH), []);
});

Deno.test("no file is longer than 300 lines", () => {
  assertEquals(longFiles(GRAPH), []);
});

Deno.test("only entry points end the process, and only when they are the program", () => {
  assertEquals(strayExits(GRAPH), []);
});

const NO_HOOK = !GRAPH.has(HOOK) && announce(`SKIPPED: ${HOOK} does not exist yet`);

Deno.test({
  name: "the hook can reach no network and start no program",
  ignore: NO_HOOK,
  fn() {
    assertEquals(networkOrProcess(GRAPH, HOOK), []);
  },
});

Deno.test({
  name: "the hook loads no node: module at its start",
  ignore: NO_HOOK,
  fn() {
    assertEquals(nodeImports(GRAPH, HOOK), []);
  },
});

function announce(text: string): boolean {
  Deno.stderr.writeSync(new TextEncoder().encode(`${text}\n`));
  return true;
}
