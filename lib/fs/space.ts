import { OngridError } from "../cli/errors.ts";
import { nodeFs } from "./node_fs.ts";

/**
 * Bytes that an ordinary account can still write on the filesystem that holds `path`, or that would
 * hold it: of a path that does not exist yet, the nearest parent that does is asked.
 *
 * Needs the permission `--allow-sys=statfs`. Throws `OngridError`.
 */
export function freeBytes(path: string): number {
  try {
    const { bavail, bsize } = nodeFs().statfsSync(nearestExisting(path));
    return bavail * bsize;
  } catch (e) {
    throw new OngridError(`Cannot tell the free space at ${path}`, { cause: e });
  }
}

function nearestExisting(path: string): string {
  let candidate = path;
  for (;;) {
    try {
      Deno.statSync(candidate);
      return candidate;
    } catch (e) {
      if (!(e instanceof Deno.errors.NotFound) || candidate === "/" || candidate === ".") throw e;
    }
    const slash = candidate.replace(/\/+$/, "").lastIndexOf("/");
    candidate = slash > 0 ? candidate.slice(0, slash) : slash === 0 ? "/" : ".";
  }
}
