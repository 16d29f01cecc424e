import { assertEquals } from "@std/assert";
import { dirname, join } from "@std/path";
import {
  findCycle,
  findImports,
  type ImportGraph,
  reachableFrom,
  readImportGraph,
} from "../support/import_graph.ts";
import {
  longFiles,
  networkOrProcess,
  nodeImports,
  strayExits,
  unknownTargets,
  wrongDirections,
} from "../support/house_rules.ts";
import { maskSource } from "../support/source_mask.ts";

/** Writes the files, reads their graph and removes them again. */
function graphOf(files: Record<string, string>): ImportGraph {
  const root = Deno.makeTempDirSync({ prefix: "ongrid-house-" });
  try {
    for (const [path, content] of Object.entries(files)) {
      Deno.mkdirSync(dirname(join(root, path)), { recursive: true });
      Deno.writeTextFileSync(join(root, path), content);
    }
    return readImportGraph(root);
  } finally {
    Deno.removeSync(root, { recursive: true });
  }
}

function imports(source: string): [string, "type" | "value"][] {
  return findImports(maskSource(source)).map((
    { specifier, typeOnly },
  ) => [specifier, typeOnly ? "type" : "value"]);
}

Deno.test("all forms of import are found", () => {
  const source = `
    import a from "./a.ts";
    import * as b from './b.ts';
    import c, { d, type E } from "./c.ts";
    import {
      f,
      g as h,
    } from "./f.ts";
    import "./i.ts";
    export * from "./j.ts";
    export * as k from "./k.ts";
    export { l } from "./l.ts";
    const m = await import("./m.ts");
    const n = await import(name);`;
  assertEquals(imports(source), [
    ...["a", "b", "c", "f", "j", "k", "l", "i", "m"].map((name) =>
      [`./${name}.ts`, "value"] as [string, "value"]
    ),
    ["", "value"],
  ]);
});

Deno.test("imports of types are told from those that are loaded", () => {
  const source = `
    import type { A } from "./a.ts";
    import type B from "./b.ts";
    import { type C, type D } from "./c.ts";
    export type { E } from "./e.ts";
    type F = typeof import("./f.ts");
    type G = import("./g.ts").Name;
    import type from "./type.ts";
    import { type } from "./named.ts";`;
  assertEquals(imports(source), [
    ...["a", "b", "c", "e"].map((name) => [`./${name}.ts`, "type"] as [string, "type"]),
    ["./type.ts", "value"],
    ["./named.ts", "value"],
    ["./f.ts", "type"],
    ["./g.ts", "type"],
  ]);
});

Deno.test("comments, texts and regular expressions are no imports", () => {
  const source = [
    '// import "./a.ts"',
    '/* import "./b.ts" */',
    "const c = 'import \"./c.ts\"';",
    'const d = `import "./d.ts" ${e("`")} import "./e.ts"`;',
    'const f = /["\'`]/.test(x) ? 1 / 2 : `${`nested ${1} import "./f.ts"`}`;',
    'const g = a / b; import "./real.ts";',
    'const h = "\\" import \\"./h.ts";',
  ].join("\n");
  assertEquals(imports(source), [["./real.ts", "value"]]);
});

Deno.test("what is masked keeps its place", () => {
  const source = 'a("x\ty"); // note\nb(`t${c}u`);\n/["]/;';
  const { code, literals } = maskSource(source);
  assertEquals(code, 'a("   ");        \nb(` ${c} `);\n     ;');
  assertEquals(literals, [{ start: 2, text: "x\ty" }]);
});

Deno.test("a cycle is found however long, also by way of a dynamic import", () => {
  const graph = graphOf({
    "lib/fs/a.ts": 'import "./b.ts";',
    "lib/fs/b.ts": 'export * from "./c.ts";',
    "lib/fs/c.ts": 'await import("./b.ts");',
  });
  assertEquals(findCycle(graph), ["lib/fs/b.ts", "lib/fs/c.ts", "lib/fs/b.ts"]);
});

Deno.test("types may go round", () => {
  const graph = graphOf({
    "lib/fs/a.ts": 'import { b } from "./b.ts";',
    "lib/fs/b.ts": 'import type { A } from "./a.ts";',
  });
  assertEquals(findCycle(graph), undefined);
});

Deno.test("packages that are linked are followed", () => {
  const graph = graphOf({
    "deno.json": '{ "links": ["./lib/std/cli"] }',
    "lib/std/cli/deno.json":
      '{ "name": "@std/cli", "exports": { ".": "./mod.ts", "./parse-args": "./parse.ts" } }',
    "lib/std/cli/mod.ts": "",
    "lib/std/cli/parse.ts": "",
    "main.ts": 'import "@std/cli"; import "@std/cli/parse-args";',
  });
  assertEquals(reachableFrom(graph, "main.ts").map(({ path }) => path), [
    "main.ts",
    "lib/std/cli/mod.ts",
    "lib/std/cli/parse.ts",
  ]);
});

Deno.test("an import that leads nowhere, or that nobody can tell, is reported", () => {
  const graph = graphOf({
    "main.ts": 'import "./lib/fs/absent.ts"; await import(x); import "https://a/b.ts";' +
      'import "node:fs"; import "tar-stream"; import "npm:x@1";',
  });
  assertEquals(unknownTargets(graph), [
    "main.ts imports ./lib/fs/absent.ts",
    "main.ts imports https://a/b.ts",
    "main.ts imports something computed",
  ]);
});

Deno.test("imports upwards and to a sibling are reported, those of types too", () => {
  const graph = graphOf({
    "main.ts": 'import "./lib/edge/a.ts"; import "./tools/build.ts"; import "./other.ts";',
    "other.ts": "",
    "tools/build.ts": 'import "../main.ts"; import "../lib/edge/a.ts";',
    "lib/edge/a.ts": 'import "./b.ts"; import "../bundle/c.ts"; import "../fleet/d.ts";',
    "lib/edge/b.ts": 'import "../fs/e.ts"; import "../../main.ts";',
    "lib/bundle/c.ts": 'import type { T } from "../tunnel/f.ts"; import "../cli/g.ts";',
    "lib/fs/e.ts": 'import "../bundle/c.ts";',
    "lib/cli/g.ts": 'import "../fs/e.ts"; import "../new_area/h.ts";',
  });
  assertEquals(wrongDirections(graph), [
    "lib/bundle/c.ts imports lib/tunnel/f.ts",
    "lib/cli/g.ts imports lib/fs/e.ts",
    "lib/cli/g.ts imports lib/new_area/h.ts",
    "lib/edge/a.ts imports lib/fleet/d.ts",
    "lib/edge/b.ts imports main.ts",
    "lib/fs/e.ts imports lib/bundle/c.ts",
    "main.ts imports tools/build.ts",
    "main.ts imports other.ts",
  ]);
});

Deno.test("a file of 301 lines is reported, one of 300 is not", () => {
  const graph = graphOf({
    "lib/fs/long.ts": "//\n".repeat(301),
    "lib/fs/fits.ts": "//\n".repeat(300),
  });
  assertEquals(longFiles(graph), ["lib/fs/long.ts: 301 lines"]);
});

Deno.test("an exit is reported unless it is the program's own last word", () => {
  const graph = graphOf({
    "main.ts": "if (import.meta.main) {\n  Deno.exit(await run());\n}\n",
    "short.ts": "if (import.meta.main) Deno.exit(run());\n",
    "early.ts": "function run() {\n  Deno.exit(1);\n}\nif (import.meta.main) {\n  run();\n}\n",
    "none.ts": "// Deno.exit(1)\nDeno.exitCode;\n",
    "tools/build.ts": "if (import.meta.main) {\n  Deno.exit(0);\n}\nDeno.exit(1);\n",
    "tools/sub/x.ts": "if (import.meta.main) Deno.exit(0);",
    "demo/main.ts": "if (import.meta.main) Deno.exit(0);",
    "demo/fleet.ts": "if (import.meta.main) Deno.exit(0);",
    "lib/cli/a.ts": "\nDeno.exit(0);",
  });
  assertEquals(strayExits(graph), [
    "demo/fleet.ts:1",
    "early.ts:2",
    "lib/cli/a.ts:2",
    "tools/build.ts:4",
    "tools/sub/x.ts:1",
  ]);
});

Deno.test("network and processes are found anywhere below the hook, and only there", () => {
  const graph = graphOf({
    "hook.ts": 'import "./lib/edge/a.ts"; import type { F } from "./lib/edge/free.ts";',
    "lib/edge/a.ts": 'await import("./b.ts"); cache.fetch(1); prefetch(2); "fetch(3)";',
    "lib/edge/b.ts": 'import "node:http"; import "node:fs"; import "npm:x"; fetch(1);',
    "lib/edge/free.ts": "new Deno.Command(1); export type F = 1;",
    "lib/edge/c.ts": "",
  });
  assertEquals(networkOrProcess(graph, "hook.ts"), [
    "lib/edge/b.ts:1: fetch(",
    "lib/edge/b.ts:1: node:http",
    "lib/edge/b.ts imports node:http",
    "lib/edge/b.ts imports npm:x",
  ]);
  const each = [
    "Deno.connect()",
    "Deno.connectTls()",
    "Deno.listen()",
    "new Deno.Command(x)",
    "new WebSocket(x)",
    "new EventSource(x)",
    "globalThis.fetch",
    'process.getBuiltinModule("node:child_process")',
    'await import("node:tls")',
    'import "dgram"',
    "await import(x)",
  ];
  for (const code of each) {
    const found = networkOrProcess(graphOf({ "hook.ts": code }), "hook.ts");
    assertEquals(found.length > 0, true, code);
  }
});

Deno.test("node: modules are found anywhere below the hook, unless only their types are meant", () => {
  const graph = graphOf({
    "hook.ts": 'import "./lib/fs/a.ts";',
    "lib/fs/a.ts": 'import "node:fs"; import type { Stats } from "node:fs"; ' +
      'type F = typeof import("node:fs"); process.getBuiltinModule("node:fs");',
  });
  assertEquals(nodeImports(graph, "hook.ts"), ["lib/fs/a.ts imports node:fs"]);
});
