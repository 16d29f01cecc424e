import { assertPath } from "./_check.ts";
import { isAbsolute } from "./parts.ts";

/**
 * `path` with `.`, `..` and repeated slashes resolved as text: symbolic links are not looked at. A
 * slash at the end stays; `..` above a relative start stays; nothing becomes `.`.
 */
export function normalize(path: string): string {
  assertPath(path);
  const rooted = isAbsolute(path);
  const text = segments(path).join("/");
  if (text === "") return rooted ? "/" : path.endsWith("/") ? "./" : ".";
  return `${rooted ? "/" : ""}${text}${path.endsWith("/") ? "/" : ""}`;
}

/** All of `path` and `paths` put behind one another, normalized. Empty ones do not count. */
export function join(path: string, ...paths: string[]): string {
  const all = [path, ...paths];
  all.forEach(assertPath);
  return normalize(all.filter((one) => one !== "").join("/"));
}

/**
 * The absolute path one reaches by following `pathSegments` one after the other, beginning in the
 * current directory. No slash at the end.
 */
export function resolve(...pathSegments: string[]): string {
  pathSegments.forEach(assertPath);
  const start = pathSegments.findLastIndex(isAbsolute);
  const followed = start === -1 ? [Deno.cwd(), ...pathSegments] : pathSegments.slice(start);
  return `/${segments(`/${followed.join("/")}`).join("/")}`;
}

/** The path that leads from `from` to `to`, both resolved first; empty when they are the same. */
export function relative(from: string, to: string): string {
  assertPath(from);
  assertPath(to);
  const start = segments(resolve(from));
  const end = segments(resolve(to));
  let shared = 0;
  while (shared < start.length && shared < end.length && start[shared] === end[shared]) shared++;
  return [...start.slice(shared).map(() => ".."), ...end.slice(shared)].join("/");
}

/**
 * The beginning all of `paths` share, segment by segment as text. It ends in a slash where paths
 * part; a path that is itself the beginning of all others comes back as it is.
 */
export function common(paths: string[]): string {
  const [first = [], ...others] = paths.map((path) => path.split("/"));
  let shared = first.length;
  let end = "";
  for (const other of others) {
    const longest = Math.min(shared, other.length);
    let same = 0;
    while (same < longest && first[same] === other[same]) same++;
    if (other.length <= shared) end = "";
    if (same < longest) end = same === 0 ? "" : "/";
    shared = same;
  }
  return first.slice(0, shared).join("/") + end;
}

function segments(path: string): string[] {
  const rooted = path.startsWith("/");
  const result: string[] = [];
  for (const segment of path.split("/")) {
    if (segment === "" || segment === ".") continue;
    const above = result.length === 0 || result.at(-1) === "..";
    if (segment !== "..") result.push(segment);
    else if (!above) result.pop();
    else if (!rooted) result.push(segment);
  }
  return result;
}
