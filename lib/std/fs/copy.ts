import { join, resolve } from "@std/path";
import { isBelow, isNotFound, toPathString } from "./_paths.ts";
import { ensureDir, ensureDirSync } from "./ensure_dir.ts";

/** How {@linkcode copy} treats the destination. */
export interface CopyOptions {
  /** Whether files that are there are replaced and directories merged. Otherwise it is an error. */
  overwrite?: boolean;
  /** Whether the copies get the times of the originals. Links keep their own. */
  preserveTimestamps?: boolean;
}

/**
 * Copies a file, a link as a link, or the content of a directory into the directory `dest`. Other
 * kinds of files are left out.
 *
 * Throws `Deno.errors.AlreadyExists` when there is something at a destination and `overwrite` is
 * not set, `Error` when source and destination are the same, when a directory would be copied into
 * itself or over something that is none.
 */
export async function copy(
  src: string | URL,
  dest: string | URL,
  options: CopyOptions = {},
): Promise<void> {
  const [from, to] = [resolve(toPathString(src)), resolve(toPathString(dest))];
  assertDistinct(from, to);
  const info = await Deno.lstat(from);
  assertOutside(info, from, to);
  await copyEntry(info, from, to, options);
}

/** Like {@linkcode copy}, in one go. */
export function copySync(src: string | URL, dest: string | URL, options: CopyOptions = {}): void {
  const [from, to] = [resolve(toPathString(src)), resolve(toPathString(dest))];
  assertDistinct(from, to);
  const info = Deno.lstatSync(from);
  assertOutside(info, from, to);
  copyEntrySync(info, from, to, options);
}

type Kind = Pick<Deno.FileInfo, "isFile" | "isDirectory" | "isSymlink">;

async function copyEntry(
  kind: Kind,
  from: string,
  to: string,
  options: CopyOptions,
): Promise<void> {
  if (!kind.isFile && !kind.isDirectory && !kind.isSymlink) return;
  let there: Deno.FileInfo | undefined;
  try {
    there = await Deno.lstat(to);
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
  if (there) assertReplaceable(there, kind, from, to, options);
  if (kind.isSymlink) return await Deno.symlink(await Deno.readLink(from), to);
  if (kind.isFile) await Deno.copyFile(from, to);
  else if (!there) await ensureDir(to);
  if (options.preserveTimestamps) {
    const { atime, mtime } = knownTimes(await Deno.stat(from));
    await Deno.utime(to, atime, mtime);
  }
  if (kind.isFile) return;
  for await (const entry of Deno.readDir(from)) {
    await copyEntry(entry, join(from, entry.name), join(to, entry.name), options);
  }
}

function copyEntrySync(kind: Kind, from: string, to: string, options: CopyOptions): void {
  if (!kind.isFile && !kind.isDirectory && !kind.isSymlink) return;
  let there: Deno.FileInfo | undefined;
  try {
    there = Deno.lstatSync(to);
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
  if (there) assertReplaceable(there, kind, from, to, options);
  if (kind.isSymlink) return Deno.symlinkSync(Deno.readLinkSync(from), to);
  if (kind.isFile) Deno.copyFileSync(from, to);
  else if (!there) ensureDirSync(to);
  if (options.preserveTimestamps) {
    const { atime, mtime } = knownTimes(Deno.statSync(from));
    Deno.utimeSync(to, atime, mtime);
  }
  if (kind.isFile) return;
  for (const entry of Deno.readDirSync(from)) {
    copyEntrySync(entry, join(from, entry.name), join(to, entry.name), options);
  }
}

function assertDistinct(from: string, to: string): void {
  if (from === to) {
    throw new Error("Source and destination cannot be the same.");
  }
}

function assertOutside(info: Deno.FileInfo, from: string, to: string): void {
  if (!info.isDirectory || !isBelow(from, to)) return;
  throw new Error(`Cannot copy '${from}' to a subdirectory of itself: '${to}'.`);
}

function assertReplaceable(
  there: Deno.FileInfo,
  kind: Kind,
  from: string,
  to: string,
  options: CopyOptions,
): void {
  if (kind.isDirectory && !there.isDirectory) {
    throw new Error(`Cannot overwrite non-directory '${to}' with directory '${from}'.`);
  }
  if (!options.overwrite) {
    throw new Deno.errors.AlreadyExists(`'${to}' already exists.`);
  }
}

function knownTimes({ atime, mtime }: Deno.FileInfo): { atime: Date; mtime: Date } {
  if (atime && mtime) return { atime, mtime };
  throw new Error("Cannot preserve timestamps: the file system does not tell them.");
}
