/** Compares what is installed on a host with what should be. */

import { basename, join } from "@std/path";
import { hashFile } from "../lib/fs/copy.ts";
import type { EdgeHost } from "./edge_host.ts";
import { type Release, RELEASE_NAMES } from "./release.ts";

/**
 * What is wrong with the files on a host that should have this release: a file of another version or
 * none, a half-made one, one that nobody knows. Empty where nothing is.
 */
export function wrongFiles(host: EdgeHost, release: Release): string[] {
  const wrong: string[] = [];
  for (const [name, path] of release.files) {
    const target = host.target(name);
    if (!isFile(target)) wrong.push(`${name} is missing`);
    else if (hashOf(target) !== hashOf(path)) {
      wrong.push(`${name} is not of ${release.version}`);
    }
  }
  const known = new Set(RELEASE_NAMES.flatMap((name) => [name, `${name}.previous`]));
  for (const directory of [host.bin, host.lib]) {
    for (const { name } of Deno.readDirSync(directory)) {
      if (!known.has(name)) wrong.push(`${basename(directory)}/${name} is left over`);
    }
  }
  if (isThere(join(host.stage, "incoming"))) wrong.push("a bundle is still staged");
  if (isThere(join(host.rootState, "journal.json"))) wrong.push("a swap is still under way");
  return wrong;
}

/** Hashes by file and moment of its last change: a runtime of 100 MB is not read again for nothing. */
const hashes = new Map<string, string>();

function hashOf(path: string): string {
  const { dev, ino, size, mtime } = Deno.statSync(path);
  const key = [dev, ino, size, mtime?.getTime()].join(":");
  const hash = hashes.get(key) ?? hashFile(path);
  hashes.set(key, hash);
  return hash;
}

function isFile(path: string): boolean {
  return isThere(path) && Deno.statSync(path).isFile;
}

function isThere(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch (e) {
    if (e instanceof Deno.errors.NotFound) return false;
    throw e;
  }
}
