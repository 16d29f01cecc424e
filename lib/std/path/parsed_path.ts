import { assertPath } from "./_check.ts";
import { basename, dirname, extname, isAbsolute } from "./parts.ts";

/** The parts of a path, as `parse` gives and `format` takes them. */
export interface ParsedPath {
  /** `/`, or nothing for a relative path. */
  root: string;
  /** All before the last segment; nothing for a single relative segment. */
  dir: string;
  /** The last segment. */
  base: string;
  /** The end of the last segment from its last dot on, if it has one. */
  ext: string;
  /** The last segment without `ext`. */
  name: string;
}

/** The parts of `path`. */
export function parse(path: string): ParsedPath {
  assertPath(path);
  const base = basename(path);
  const ext = extname(path);
  // A single relative segment has no directory, though `dirname` says ".".
  const alone = /^[^/]*\/*$/.test(path) && !isAbsolute(path);
  return {
    root: isAbsolute(path) ? "/" : "",
    dir: alone ? "" : dirname(path),
    base,
    ext,
    name: base === "/" ? "" : base.slice(0, base.length - ext.length),
  };
}

/** A path of its parts: `dir` wins over `root`, `base` over `name` and `ext`. */
export function format(pathObject: Partial<ParsedPath>): string {
  if (pathObject === null || typeof pathObject !== "object") {
    throw new TypeError(
      `The "pathObject" argument must be of type Object, received type "${typeof pathObject}"`,
    );
  }
  const { root = "", name = "", ext = "" } = pathObject;
  const dir = pathObject.dir || root;
  const base = pathObject.base || name + ext;
  if (dir === "") return base;
  if (base === "/") return dir;
  return dir === root ? dir + base : `${dir}/${base}`;
}
