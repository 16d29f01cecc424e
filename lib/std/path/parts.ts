import { assertPath } from "./_check.ts";

/**
 * The last segment of `path`, without `suffix` if it ends in it and is longer. Slashes at the end do
 * not count; the root gives `/`.
 */
export function basename(path: string, suffix = ""): string {
  assertPath(path);
  if (path !== "" && typeof suffix !== "string") {
    throw new TypeError(`Suffix must be a string, received "${JSON.stringify(suffix)}"`);
  }
  const whole = withoutTrailingSlashes(path);
  const name = whole === "/" ? whole : whole.slice(whole.lastIndexOf("/") + 1);
  const cut = suffix !== "" && name !== suffix && name.endsWith(suffix);
  return cut ? name.slice(0, -suffix.length) : name;
}

/** `path` without its last segment: `.` when there is no other, `/` for the root and its children. */
export function dirname(path: string): string {
  assertPath(path);
  const whole = withoutTrailingSlashes(path);
  const slash = whole.lastIndexOf("/");
  return slash === -1 ? "." : withoutTrailingSlashes(whole.slice(0, slash)) || "/";
}

/** The last segment of `path` from its last dot on; a name that only begins with a dot has none. */
export function extname(path: string): string {
  assertPath(path);
  const name = basename(path);
  const dot = name.lastIndexOf(".");
  return dot <= 0 || name === ".." ? "" : name.slice(dot);
}

/** Whether `path` starts at the root. */
export function isAbsolute(path: string): boolean {
  assertPath(path);
  return path.startsWith("/");
}

/** Keeps one slash of a path that is nothing but slashes. */
function withoutTrailingSlashes(path: string): string {
  let end = path.length;
  while (end > 1 && path[end - 1] === "/") end--;
  return path.slice(0, end);
}
