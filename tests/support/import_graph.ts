import { dirname, join, normalize } from "@std/path";
import { type MaskedSource, maskSource } from "./source_mask.ts";

/** One import of a file. */
export interface Import {
  /** As written; `""` where it is computed at run time. */
  readonly specifier: string;
  /** The file it means, relative to the root; `undefined` for what is not in the repository. */
  readonly target: string | undefined;
  /** Erased before the program runs. */
  readonly typeOnly: boolean;
}

/** A file of the repository. */
export interface SourceFile {
  /** Relative to the root: `lib/fs/lock.ts`. */
  readonly path: string;
  readonly source: string;
  readonly masked: MaskedSource;
  readonly imports: readonly Import[];
}

/** The files by path. */
export type ImportGraph = ReadonlyMap<string, SourceFile>;

/** Directories that hold the programs, beside the entry points in the root itself. */
const DIRECTORIES = ["lib", "demo", "tools"];

/** Reads the entry points in the root and every `.ts` below `lib`, `demo` and `tools`. */
export function readImportGraph(root: string): ImportGraph {
  const paths = [...filesIn(root, "", { deep: false })];
  for (const directory of DIRECTORIES) paths.push(...filesIn(root, directory, { deep: true }));
  const resolve = resolver(root);
  return new Map(
    paths.toSorted().map((path) => {
      const source = Deno.readTextFileSync(join(root, path));
      const masked = maskSource(source);
      const imports = findImports(masked).map(({ specifier, typeOnly }) => ({
        specifier,
        typeOnly,
        target: resolve(path, specifier),
      }));
      return [path, { path, source, masked, imports }];
    }),
  );
}

/** A cycle of imports as the paths along it, the first one again at the end; `undefined`: none. */
export function findCycle(graph: ImportGraph): string[] | undefined {
  const done = new Set<string>();
  const trail: string[] = [];
  const visit = (path: string): string[] | undefined => {
    const again = trail.indexOf(path);
    if (again >= 0) return [...trail.slice(again), path];
    if (done.has(path)) return undefined;
    trail.push(path);
    for (const target of runtimeTargets(graph, path)) {
      const cycle = visit(target);
      if (cycle !== undefined) return cycle;
    }
    trail.pop();
    done.add(path);
    return undefined;
  };
  for (const path of graph.keys()) {
    const cycle = visit(path);
    if (cycle !== undefined) return cycle;
  }
  return undefined;
}

/** Everything that is loaded when this file is run, itself included. */
export function reachableFrom(graph: ImportGraph, entry: string): SourceFile[] {
  const found = new Set([entry]);
  for (const path of found) {
    for (const target of runtimeTargets(graph, path)) found.add(target);
  }
  return [...found].flatMap((path) => graph.get(path) ?? []);
}

function runtimeTargets(graph: ImportGraph, path: string): string[] {
  const imports = graph.get(path)?.imports ?? [];
  return imports.flatMap(({ target, typeOnly }) =>
    target === undefined || typeOnly ? [] : [target]
  );
}

type Written = Pick<Import, "specifier" | "typeOnly">;

/** `import … from`, `export … from`, up to the quote. */
const FROM =
  /\b(?:import|export)\s+(type\s+(?!from\b))?((?:[\w$]+\s*,?\s*)?(?:\*(?:\s*as\s+[\w$]+)?|\{[^{}]*\})?)\s*from\s*(?=["'])/g;
const BARE = /\bimport\s*(?=["'])/g;
const DYNAMIC = /(\btypeof\s+)?\bimport\s*\(\s*(["'`] *["'`]\s*\)(\s*\.\s*[A-Z])?)?/g;

/** The imports that a file's code has: static, dynamic, of types, and re-exports. */
export function findImports({ code, literals }: MaskedSource): Written[] {
  const textAt = new Map(literals.map(({ start, text }) => [start, text]));
  const found: Written[] = [];
  for (const match of code.matchAll(FROM)) {
    const [whole, type, clause = ""] = match;
    const specifier = textAt.get(match.index + whole.length) ?? "";
    found.push({ specifier, typeOnly: type !== undefined || namesTypesOnly(clause) });
  }
  for (const match of code.matchAll(BARE)) {
    found.push({ specifier: textAt.get(match.index + match[0].length) ?? "", typeOnly: false });
  }
  for (const match of code.matchAll(DYNAMIC)) {
    const [whole, typeOf, literal, member] = match;
    const quote = match.index + whole.length - (literal?.length ?? 0);
    // `typeof import("x")` and `import("x").Name` are types.
    const typeOnly = typeOf !== undefined || member !== undefined;
    found.push({ specifier: literal === undefined ? "" : textAt.get(quote) ?? "", typeOnly });
  }
  return found;
}

/** `{ type A, type B }`: nothing of it is left at run time. */
function namesTypesOnly(clause: string): boolean {
  const names = /^\{([^{}]*)\}$/.exec(clause.trim())?.[1];
  if (names === undefined) return false;
  const list = names.split(",").map((name) => name.trim()).filter((name) => name !== "");
  return list.length > 0 && list.every((name) => /^type\s+/.test(name));
}

function* filesIn(root: string, directory: string, { deep }: { deep: boolean }): Generator<string> {
  for (const entry of entriesOf(join(root, directory))) {
    const path = directory === "" ? entry.name : `${directory}/${entry.name}`;
    if (entry.isFile && entry.name.endsWith(".ts")) yield path;
    else if (deep && entry.isDirectory) yield* filesIn(root, path, { deep });
  }
}

function entriesOf(directory: string): Deno.DirEntry[] {
  try {
    return [...Deno.readDirSync(directory)];
  } catch (e) {
    if (e instanceof Deno.errors.NotFound) return [];
    throw e;
  }
}

/** Understands relative paths, and the names in `deno.json` that are linked to a directory here. */
function resolver(root: string): (from: string, specifier: string) => string | undefined {
  const linked = linkedFiles(root);
  return (from, specifier) =>
    specifier.startsWith(".") ? normalize(join(dirname(from), specifier)) : linked.get(specifier);
}

interface PackageFile {
  name?: string;
  exports?: string | Record<string, string>;
  links?: string[];
}

function linkedFiles(root: string): Map<string, string> {
  const files = new Map<string, string>();
  for (const link of readPackage(join(root, "deno.json")).links ?? []) {
    const { name = "", exports = {} } = readPackage(join(root, link, "deno.json"));
    const named = typeof exports === "string" ? { ".": exports } : exports;
    for (const [key, path] of Object.entries(named)) {
      files.set(normalize(join(name, key)).replace(/\/$/, ""), normalize(join(link, path)));
    }
  }
  return files;
}

function readPackage(path: string): PackageFile {
  try {
    return JSON.parse(Deno.readTextFileSync(path)) as PackageFile;
  } catch (e) {
    if (e instanceof Deno.errors.NotFound) return {};
    throw e;
  }
}
