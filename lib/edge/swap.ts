import { OngridError } from "../cli/errors.ts";
import { copyVerified, hashFile } from "../fs/copy.ts";
import { syncDirectory } from "../fs/durable.ts";
import { lstatOrUndefined } from "../fs/lstat.ts";
import { type EdgePaths, targetDirectories } from "./paths.ts";
import type { FileChange } from "./records.ts";

/** The new content of a destination, complete and on the same filesystem. */
export const newOf = (dest: string): string => `${dest}.new`;
/** The content that a destination had before the upgrade that is not settled yet. */
export const previousOf = (dest: string): string => `${dest}.previous`;

/** The copy that becomes `dest.previous` where there are no hard links. */
const temporaryOf = (dest: string): string => `${previousOf(dest)}.tmp`;

/**
 * Puts the new set in place: every `dest` is kept as `dest.previous`, then every `dest.new` is
 * renamed over it. The directories are synced in between: a filesystem may write two changes of a
 * directory in either order, and a rename without its link would lose the old content. Every act
 * can be repeated, so a run that finishes a killed one calls the same function: a file without
 * `.new` is done, one with it is not.
 *
 * @throws {OngridError} where a destination is neither new nor has its `.new`.
 */
export function swapForward(paths: EdgePaths, files: readonly FileChange[]): void {
  const open = files.filter((file) => {
    if (lstatOrUndefined(newOf(file.dest))) return true;
    if (hashOf(file.dest) === file.new_sha256) return false;
    throw new OngridError(`cannot complete the upgrade: ${newOf(file.dest)} is missing`);
  });
  for (const file of open) {
    if (file.old_sha256 !== null) keepPrevious(file.dest);
  }
  syncTargets(paths, open);
  for (const file of open) Deno.renameSync(newOf(file.dest), file.dest);
  syncTargets(paths, files);
}

/**
 * Puts the old set back: per file, `dest.previous` is renamed over `dest`; a destination that did
 * not exist before is removed while it still is what the upgrade put there. Repeatable like
 * {@linkcode swapForward}. Call {@linkcode missingForReturn} first: this function assumes that the
 * old set can be had.
 *
 * @returns the number of destinations that are as they were before, whichever run put them back.
 */
export function swapBack(paths: EdgePaths, files: readonly FileChange[]): number {
  let restored = 0;
  for (const file of files) {
    removeFile(newOf(file.dest));
    removeFile(temporaryOf(file.dest));
    if (file.old_sha256 !== null) restore(file.dest, file.old_sha256);
    else if (hashOf(file.dest) === file.new_sha256) Deno.removeSync(file.dest);
    else if (lstatOrUndefined(file.dest)) continue;
    restored += 1;
  }
  syncTargets(paths, files);
  return restored;
}

/** The destinations whose old content is neither in place nor kept beside, with what was found. */
export function missingForReturn(files: readonly FileChange[]): string[] {
  return files.filter(({ dest, old_sha256 }) =>
    old_sha256 !== null && hashOf(previousOf(dest)) !== old_sha256 && hashOf(dest) !== old_sha256
  ).map(({ dest }) => dest);
}

/** True where every destination is in place or its `.new` is complete. */
export function canSwapForward(files: readonly FileChange[]): boolean {
  return files.every(({ dest, new_sha256 }) =>
    hashOf(newOf(dest)) === new_sha256 ||
    (!lstatOrUndefined(newOf(dest)) && hashOf(dest) === new_sha256)
  );
}

/** True where every destination still holds what this upgrade left there, old or new. */
export function stillOurs(files: readonly FileChange[]): boolean {
  return files.every(({ dest, old_sha256, new_sha256 }) => {
    const found = hashOf(dest);
    return found === new_sha256 || found === (old_sha256 ?? undefined);
  });
}

/** Removes the `.previous` files of a settled upgrade. */
export function prunePrevious(paths: EdgePaths, files: readonly FileChange[]): void {
  for (const file of files) {
    if (file.old_sha256 !== null) removeFile(previousOf(file.dest));
  }
  syncTargets(paths, files);
}

/** SHA-256 of a regular file in lower-case hex; undefined for anything else, links included. */
export function hashOf(path: string): string | undefined {
  return lstatOrUndefined(path)?.isFile ? hashFile(path) : undefined;
}

/** Fsyncs every directory that holds a destination, the agent's last. */
export function syncTargets(paths: EdgePaths, files: readonly FileChange[]): void {
  for (const directory of targetDirectories(paths, files.map(({ dest }) => dest))) {
    syncDirectory(directory);
  }
}

/** A hard link costs nothing and cannot be half written; where there are none, a durable copy. */
function keepPrevious(dest: string): void {
  const previous = previousOf(dest);
  removeFile(previous);
  try {
    Deno.linkSync(dest, previous);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) throw error;
    const { mode } = Deno.lstatSync(dest);
    const temporary = temporaryOf(dest);
    removeFile(temporary);
    copyVerified({ from: dest, to: temporary, mode: (mode ?? 0o755) & 0o7777 });
    Deno.renameSync(temporary, previous);
  }
}

function restore(dest: string, oldSha256: string): void {
  const previous = previousOf(dest);
  const kept = lstatOrUndefined(previous);
  const current = lstatOrUndefined(dest);
  if (!kept) return;
  // Renaming one name of an inode over another does nothing, and `.previous` would stay.
  const sameInode = current !== undefined && kept.dev === current.dev && kept.ino === current.ino;
  if (sameInode || hashOf(dest) === oldSha256) Deno.removeSync(previous);
  else Deno.renameSync(previous, dest);
}

/** Not synced by itself: the callers sync each directory once, at their end. */
function removeFile(path: string): void {
  if (lstatOrUndefined(path)) Deno.removeSync(path);
}
