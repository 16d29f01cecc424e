import { basename, join, normalize } from "@std/path";
import { toPathString } from "./_paths.ts";

/** Where {@linkcode walk} goes and what it gives. */
export interface WalkOptions {
  /** How many levels below the root are entered; 0 gives the root alone. No limit by default. */
  maxDepth?: number;
  /** Whether files are given; `true` by default. */
  includeFiles?: boolean;
  /** Whether directories, the root among them, are given; `true` by default. */
  includeDirs?: boolean;
  /** Whether links that are not followed are given; `true` by default. */
  includeSymlinks?: boolean;
  /** Whether links are followed; `false` by default. */
  followSymlinks?: boolean;
  /** Whether what is behind a followed link is given with its real path; `true` by default. */
  canonicalize?: boolean;
  /** Only paths with one of these endings are given, with or without the dot. */
  exts?: string[];
  /** Only paths that match one of these are given. */
  match?: RegExp[];
  /** Paths that match one of these are neither given nor entered. */
  skip?: RegExp[];
}

/** One thing met on the way. */
export interface WalkEntry extends Deno.DirEntry {
  /** The path of it, beginning with the root. */
  path: string;
}

/**
 * Gives all that is in `root`, and `root` first, each directory before its content. The order within
 * a directory is that of the file system.
 *
 * Throws as `Deno.readDir` and `Deno.stat` do.
 */
export async function* walk(
  root: string | URL,
  options?: WalkOptions,
): AsyncIterableIterator<WalkEntry> {
  const rules = new Rules(options);
  const path = toPathString(root);
  if (rules.givesRoot(path)) yield entryOf(path, await Deno.stat(path));
  if (!rules.enters(path)) return;
  for await (const found of Deno.readDir(path)) {
    let inner = join(path, found.name);
    let { isSymlink, isDirectory } = found;
    if (isSymlink && rules.followSymlinks) {
      const real = await Deno.realPath(inner);
      if (rules.canonicalize) inner = real;
      ({ isSymlink, isDirectory } = await Deno.lstat(real));
    }
    if (isDirectory) yield* walk(inner, rules.below());
    else if (rules.gives(inner, isSymlink)) yield { path: inner, ...found };
  }
}

/** Like {@linkcode walk}, in one go. */
export function* walkSync(root: string | URL, options?: WalkOptions): IterableIterator<WalkEntry> {
  const rules = new Rules(options);
  const path = toPathString(root);
  if (rules.givesRoot(path)) yield entryOf(path, Deno.statSync(path));
  if (!rules.enters(path)) return;
  for (const found of Deno.readDirSync(path)) {
    let inner = join(path, found.name);
    let { isSymlink, isDirectory } = found;
    if (isSymlink && rules.followSymlinks) {
      const real = Deno.realPathSync(inner);
      if (rules.canonicalize) inner = real;
      ({ isSymlink, isDirectory } = Deno.lstatSync(real));
    }
    if (isDirectory) yield* walkSync(inner, rules.below());
    else if (rules.gives(inner, isSymlink)) yield { path: inner, ...found };
  }
}

/** The options of one level. */
class Rules {
  readonly followSymlinks: boolean;
  readonly canonicalize: boolean;
  readonly #options: WalkOptions;
  readonly #maxDepth: number;

  constructor(options: WalkOptions = {}) {
    this.#options = options;
    this.#maxDepth = options.maxDepth ?? Infinity;
    this.followSymlinks = options.followSymlinks ?? false;
    this.canonicalize = options.canonicalize ?? true;
  }

  below(): WalkOptions {
    return { ...this.#options, maxDepth: this.#maxDepth - 1 };
  }

  givesRoot(path: string): boolean {
    return this.#maxDepth >= 0 && (this.#options.includeDirs ?? true) &&
      this.#selects(path);
  }

  enters(path: string): boolean {
    return this.#maxDepth >= 1 && !this.#skips(path);
  }

  gives(path: string, isSymlink: boolean): boolean {
    const { includeFiles = true, includeSymlinks = true } = this.#options;
    return (isSymlink ? includeSymlinks : includeFiles) && this.#selects(path);
  }

  #selects(path: string): boolean {
    const { exts, match } = this.#options;
    const hasEnding = (ext: string) => path.endsWith(ext.startsWith(".") ? ext : `.${ext}`);
    if (exts && !exts.some(hasEnding)) return false;
    if (match && !match.some((pattern) => matches(pattern, path))) return false;
    return !this.#skips(path);
  }

  #skips(path: string): boolean {
    return (this.#options.skip ?? []).some((pattern) => matches(pattern, path));
  }
}

/** Not `test`: a pattern with the flag g would remember where it has been. */
function matches(pattern: RegExp, path: string): boolean {
  return path.search(pattern) !== -1;
}

function entryOf(root: string, info: Deno.FileInfo): WalkEntry {
  const path = normalize(root);
  const { isFile, isDirectory, isSymlink } = info;
  return { path, name: basename(path), isFile, isDirectory, isSymlink };
}
