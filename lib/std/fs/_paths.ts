import { fromFileUrl, resolve } from "@std/path";

/** A path as text, whichever way it was given. */
export function toPathString(path: string | URL): string {
  return path instanceof URL ? fromFileUrl(path) : path;
}

/** Whether both name the same place, as far as their text tells. */
export function isSamePath(a: string | URL, b: string | URL): boolean {
  return resolve(toPathString(a)) === resolve(toPathString(b));
}

/** Whether `inner` lies somewhere below `outer`, as far as their text tells. */
export function isBelow(outer: string | URL, inner: string | URL): boolean {
  const start = resolve(toPathString(outer));
  const path = resolve(toPathString(inner));
  return path !== start && path.startsWith(start === "/" ? start : `${start}/`);
}

/** The kind of a file in the words of the error messages. */
export function typeOf(info: Deno.FileInfo): "file" | "dir" | "symlink" | undefined {
  if (info.isFile) return "file";
  if (info.isDirectory) return "dir";
  return info.isSymlink ? "symlink" : undefined;
}

/** Whether `error` says that there is nothing at a path. */
export function isNotFound(error: unknown): boolean {
  return error instanceof Deno.errors.NotFound;
}
