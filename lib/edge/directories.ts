import { dirname } from "@std/path";
import { lstatOrUndefined } from "../fs/lstat.ts";
import { type HookContext, messageOf } from "./context.ts";

/** Those of the directories, and of the ones above them, that do not exist; outer ones first. */
export function missingDirectories(directories: readonly string[]): string[] {
  const missing = new Set<string>();
  for (const directory of directories) {
    for (let path = directory; !lstatOrUndefined(path); path = dirname(path)) missing.add(path);
  }
  return [...missing].sort();
}

/** Removes directories that are empty, inner ones first; one that is not stays. */
export function removeDirectories(context: HookContext, directories: readonly string[]): void {
  for (const directory of directories.toReversed()) {
    try {
      if (lstatOrUndefined(directory)) Deno.removeSync(directory);
    } catch (error) {
      context.log.warn(`cannot remove ${directory}: ${messageOf(error)}`);
    }
  }
}
