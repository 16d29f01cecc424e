import { type ImportGraph, reachableFrom, type SourceFile } from "./import_graph.ts";

/** What each part of the repository may import: parts with a smaller number, and itself. */
const LAYERS: readonly (readonly [prefix: string, layer: number])[] = [
  ["lib/std/", 0],
  ["lib/cli/", 1],
  ["lib/fs/", 2],
  ["lib/bundle/", 3],
  ["lib/tunnel/", 3],
  ["lib/edge/", 4],
  ["lib/stack/", 4],
  ["lib/release/", 4],
  ["lib/fleet/", 4],
  ["tools/", 6],
  ["demo/", 7],
];

/** The entry points in the root. */
const ENTRY_LAYER = 5;

/** Longer files hold more than one idea. */
export const MAX_LINES = 300;

interface Place {
  readonly area: string;
  readonly layer: number;
}

/** Imports that go up or sideways, as `"lib/fs/a.ts imports lib/edge/b.ts"`. */
export function wrongDirections(graph: ImportGraph): string[] {
  const wrong: string[] = [];
  for (const { path, imports } of graph.values()) {
    for (const { target } of imports) {
      if (target !== undefined && !mayImport(placeOf(path), placeOf(target))) {
        wrong.push(`${path} imports ${target}`);
      }
    }
  }
  return wrong;
}

/** Imports of files that do not exist or cannot be told, in the form of {@linkcode wrongDirections}. */
export function unknownTargets(graph: ImportGraph): string[] {
  const unknown: string[] = [];
  for (const { path, imports } of graph.values()) {
    for (const { specifier, target } of imports) {
      const outside = /^(?:node|npm|jsr):/.test(specifier) || isBareName(specifier);
      if (target === undefined ? !outside : !graph.has(target) && target.endsWith(".ts")) {
        unknown.push(`${path} imports ${specifier === "" ? "something computed" : specifier}`);
      }
    }
  }
  return unknown;
}

/** Files of more than {@linkcode MAX_LINES} lines, with their number of lines. */
export function longFiles(graph: ImportGraph): string[] {
  return [...graph.values()].flatMap(({ path, source }) => {
    const lines = source.replace(/\n$/, "").split("\n").length;
    return lines > MAX_LINES ? [`${path}: ${lines} lines`] : [];
  });
}

/** Places that end the process and are not in an entry point below `if (import.meta.main)`. */
export function strayExits(graph: ImportGraph): string[] {
  return [...graph.values()].flatMap((file) => {
    const main = isEntryPoint(file.path) ? mainBlock(file.masked.code) : undefined;
    return [...file.masked.code.matchAll(/\bDeno\s*\.\s*exit\b/g)].flatMap(({ index }) => {
      const allowed = main !== undefined && main.start < index && index < main.end;
      return allowed ? [] : [`${file.path}:${lineAt(file, index)}`];
    });
  });
}

const NETWORK_OR_PROCESS =
  /(?<![.#\w$])fetch\s*\(|\bglobalThis\s*\.\s*fetch\b|\bDeno\s*\.\s*(?:connect\w*|listen\w*|serve\w*|startTls|resolveDns|createHttpClient|upgradeWebSocket|Command|run|spawn\w*|dlopen)\b|\b(?:WebSocket|WebSocketStream|EventSource|XMLHttpRequest|WebTransport|Worker)\b/g;

const NETWORK_MODULE =
  /^(?:node:)?(?:net|http|https|http2|child_process|dgram|dns|tls|cluster|worker_threads|inspector)(?:\/.*)?$/;

/**
 * Code that could reach a network or start a program in anything that is loaded with `entry`. What
 * cannot be looked into, npm packages and computed imports, counts as such.
 */
export function networkOrProcess(graph: ImportGraph, entry: string): string[] {
  return reachableFrom(graph, entry).flatMap((file) => {
    const uses = [...file.masked.code.matchAll(NETWORK_OR_PROCESS)].map(({ 0: text, index }) =>
      `${file.path}:${lineAt(file, index)}: ${text}`
    );
    // Literals too: a module can be asked for by name, without an import.
    const modules = file.masked.literals.filter(({ text }) =>
      text.startsWith("node:") && NETWORK_MODULE.test(text)
    );
    const imports = file.imports.filter(({ specifier, target, typeOnly }) =>
      !typeOnly && target === undefined &&
      (!specifier.startsWith("node:") || NETWORK_MODULE.test(specifier))
    );
    return [
      ...uses,
      ...modules.map(({ text, start }) => `${file.path}:${lineAt(file, start)}: ${text}`),
      ...imports.map(({ specifier }) =>
        `${file.path} imports ${specifier || "something computed"}`
      ),
    ];
  });
}

/**
 * Imports of `node:` modules in anything that is loaded with `entry`: each costs the program 15 to
 * 60 ms at every start. `process.getBuiltinModule`, where it is needed, costs nothing before.
 */
export function nodeImports(graph: ImportGraph, entry: string): string[] {
  return reachableFrom(graph, entry).flatMap(({ path, imports }) =>
    imports.filter(({ specifier, typeOnly }) => !typeOnly && specifier.startsWith("node:"))
      .map(({ specifier }) => `${path} imports ${specifier}`)
  );
}

function placeOf(path: string): Place {
  const found = LAYERS.find(([prefix]) => path.startsWith(prefix));
  if (found !== undefined) return { area: found[0], layer: found[1] };
  return path.includes("/")
    ? { area: path.replace(/\/[^/]*$/, ""), layer: Infinity }
    : { area: path, layer: ENTRY_LAYER };
}

function mayImport(from: Place, to: Place): boolean {
  return from.area === to.area || to.layer < from.layer;
}

function isEntryPoint(path: string): boolean {
  return /^(?:tools\/)?[^/]+\.ts$/.test(path) || path === "demo/main.ts";
}

/** Where the statement after `if (import.meta.main)` begins and ends. */
function mainBlock(code: string): { start: number; end: number } | undefined {
  const match = /\bif\s*\(\s*import\.meta\.main\s*\)\s*/.exec(code);
  if (match === null) return undefined;
  const start = match.index + match[0].length - 1;
  if (code[start + 1] !== "{") {
    const end = code.indexOf(";", start);
    return { start, end: end < 0 ? code.length : end };
  }
  let depth = 0;
  for (let i = start + 1; i < code.length; i++) {
    if (code[i] === "{") depth += 1;
    if (code[i] === "}") depth -= 1;
    if (depth === 0) return { start, end: i };
  }
  return { start, end: code.length };
}

/** A package by its name in the import map: `@std/x`, `tar-stream`. */
function isBareName(specifier: string): boolean {
  return /^@?[a-z]/.test(specifier) && !/^[a-z]+:/.test(specifier);
}

function lineAt({ source }: SourceFile, index: number): number {
  return source.slice(0, index).split("\n").length;
}
