/** What the `src` and `dest` of a manifest line may be. */

import { UsageError } from "../cli/errors.ts";
import { CANONICAL_ROOTS, type ManagedRoots, RESERVED_NAMES } from "./owned.ts";

/** Bytes of one path: a quarter of Linux' `PATH_MAX`, which leaves room for the roots. */
export const MAX_PATH_BYTES = 1024;

/**
 * Bytes of one path segment: `NAME_MAX` is 255, and the swap appends `.previous` or the name of a
 * temporary file. A longer name would only fail in the middle of the swap.
 */
export const MAX_SEGMENT_BYTES = 200;

/** Where a path fails: what is wrong with it, for the end of an error message. */
export type PathProblem = string;

/** Control and format characters and white space that is not a plain space, all invisible. */
// deno-lint-ignore no-control-regex
const INVISIBLE = /[\x00-\x1f\x7f-\x9f\p{Cf}\p{Z}]/u;

/**
 * Configuration: delivered over the tunnel and edited by operators, so a bundle that carried it
 * would overwrite their edits (`spec/upgrade.md`, "Bundle invariants").
 */
const CONFIG_NAME = /\.(ya?ml|conf|env)$/i;

/** Suffixes of the swap's own files beside a destination. */
const SWAP_SUFFIX = /\.(new|previous)$/;

/**
 * What is wrong with a manifest line's `src`, a path relative to the bundle's root, or `undefined`.
 */
export function srcProblem(src: string): PathProblem | undefined {
  const problem = bundlePathProblem(src);
  if (problem !== undefined) return `src ${problem}`;
  const [top = ""] = src.split("/", 1);
  if (RESERVED_NAMES.includes(top)) return "src is a name reserved for the bundle itself";
  if (CONFIG_NAME.test(src)) return "src is a configuration file, which no bundle may carry";
  return undefined;
}

/**
 * What is wrong with `path` as a path inside a bundle, relative to its root, or `undefined`. `..`
 * is refused anywhere, also inside a name, as existing agents refuse it.
 */
export function bundlePathProblem(path: string): PathProblem | undefined {
  if (path.startsWith("/")) return "is absolute";
  if (path.includes("..")) return 'contains ".."';
  return segmentsProblem(path);
}

/**
 * What is wrong with a manifest line's `dest` as a path, or `undefined`. Whether it lies below a
 * managed root is {@link targetOf}'s to say.
 */
export function destProblem(dest: string): PathProblem | undefined {
  if (!dest.startsWith("/")) return "dest is not absolute";
  if (dest === "/etc" || dest.startsWith("/etc/")) {
    return "dest is below /etc, where configuration lives, which no bundle may carry";
  }
  const problem = segmentsProblem(dest.slice(1));
  if (problem !== undefined) return `dest ${problem}`;
  if (CONFIG_NAME.test(dest)) return "dest is a configuration file, which no bundle may carry";
  if (dest.split("/").some((segment) => SWAP_SUFFIX.test(segment))) {
    return 'dest ends in ".new" or ".previous", which the swap uses itself';
  }
  return undefined;
}

function segmentsProblem(path: string): PathProblem | undefined {
  const encoder = new TextEncoder();
  if (INVISIBLE.test(path)) return "contains control characters or invisible white space";
  if (encoder.encode(path).length > MAX_PATH_BYTES) return `is longer than ${MAX_PATH_BYTES} bytes`;
  for (const segment of path.split("/")) {
    if (segment === "") return 'has an empty segment ("//" or a slash at the end)';
    if (segment === "." || segment === "..") return `has a "${segment}" segment`;
    if (encoder.encode(segment).length > MAX_SEGMENT_BYTES) {
      return `has a segment longer than ${MAX_SEGMENT_BYTES} bytes`;
    }
  }
  return undefined;
}

/**
 * The managed roots without trailing slashes.
 *
 * @throws {UsageError} A root that is not an absolute path without `.` and `..` segments, or is
 * `/`: destinations could not be judged against it.
 */
export function checkedRoots(roots: ManagedRoots): ManagedRoots {
  return { bin: checkedRoot(roots.bin), lib: checkedRoot(roots.lib) };
}

function checkedRoot(root: string): string {
  const path = root.replace(/\/+$/, "");
  const segments = path.split("/").slice(1);
  const plain = path.startsWith("/") && !path.includes("\0") &&
    segments.every((segment) => segment !== "" && segment !== "." && segment !== "..");
  if (plain) return path;
  throw new UsageError(`the managed directory ${JSON.stringify(root)} is not a plain path`, {
    hint: "name it by an absolute path without . and .. segments",
  });
}

/**
 * The path on this host of a destination in a manifest, or `undefined` when it is not below a
 * managed root. A destination below a canonical root goes to the same place below `roots`, so that
 * a host with directories of its own takes the fleet's ordinary bundle; one that names a directory
 * of `roots` itself is taken as it is.
 *
 * @param roots Roots as {@link checkedRoots} returns them.
 */
export function targetOf(dest: string, roots: ManagedRoots): string | undefined {
  const target = mapped(dest, roots);
  if (target === undefined) return undefined;
  const holdsRoot = [roots.bin, roots.lib].some((root) => root === target || isBelow(root, target));
  return holdsRoot ? undefined : target;
}

function mapped(dest: string, roots: ManagedRoots): string | undefined {
  for (const root of ["bin", "lib"] as const) {
    const canonical = CANONICAL_ROOTS[root];
    if (isBelow(dest, canonical)) return roots[root] + dest.slice(canonical.length);
  }
  return isBelow(dest, roots.bin) || isBelow(dest, roots.lib) ? dest : undefined;
}

function isBelow(path: string, root: string): boolean {
  return path.startsWith(root + "/");
}

/**
 * The first path that lies inside another one of `paths`: one name cannot be a file and a directory
 * at once. `undefined` when there is none.
 */
export function nestedPath(paths: ReadonlySet<string>): string | undefined {
  for (const path of paths) {
    for (let at = path.lastIndexOf("/"); at > 0; at = path.lastIndexOf("/", at - 1)) {
      if (paths.has(path.slice(0, at))) return path;
    }
  }
  return undefined;
}
