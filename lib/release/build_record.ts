/** What a build was made from, so that it is not made again. */

import { createHash } from "node:crypto";
import { dirname, join } from "@std/path";
import { walkSync } from "@std/fs";
import type { Flavour } from "./flavour.ts";
import type { ProgramSpec } from "./programs.ts";
import type { Target } from "./targets.ts";

/** The record's file name in the build's directory. */
const RECORD_NAME = ".build.json";

/** Beside the programs in the record: what is read from the root of a checkout. */
const ROOT_INPUTS = ["deno.json", "deno.lock"];

/** Where the modules are, beside the directories of the programs' entries. */
const MODULE_DIRECTORY = "lib";

/** Names what a build was made from, and of which files it consists. */
export interface BuildRecord {
  readonly key: string;
  readonly files: readonly string[];
}

/** What a build is made from beside the modules. */
export interface KeyOptions {
  readonly root: string;
  readonly programs: readonly ProgramSpec[];
  readonly version: string;
  readonly flavour: Flavour;
  readonly target: Target;
}

/** A hash of everything that a build depends on: the same key gives the same programs. */
export function sourceKey(options: KeyOptions): string {
  const { root, programs, version, flavour, target } = options;
  const hash = createHash("sha256");
  hash.update(JSON.stringify([Deno.version.deno, Deno.execPath(), version, flavour, target]));
  hash.update(JSON.stringify(programs));
  for (const path of [...ROOT_INPUTS, ...modules(root, programs)]) {
    const content = readIfPresent(join(root, path));
    hash.update(`\0${path}\0${content?.length ?? -1}\0`);
    if (content !== undefined) hash.update(content);
  }
  return hash.digest("hex");
}

/** Whether the directory holds a complete build with this key. */
export function isUpToDate(directory: string, wanted: BuildRecord): boolean {
  const record = readIfPresent(join(directory, RECORD_NAME));
  return record !== undefined &&
    new TextDecoder().decode(record) === serialized(directory, wanted);
}

/** Notes that the build in the directory is complete. */
export function writeRecord(directory: string, record: BuildRecord): void {
  Deno.writeTextFileSync(join(directory, RECORD_NAME), serialized(directory, record) ?? "");
}

/** The record with what the files look like now; `undefined` where one is missing. */
function serialized(directory: string, { key, files }: BuildRecord): string | undefined {
  const looks = [];
  for (const name of files) {
    try {
      const { size, mtime, mode } = Deno.statSync(join(directory, name));
      looks.push({ name, size, mtime: mtime?.getTime(), mode });
    } catch (e) {
      if (e instanceof Deno.errors.NotFound) return undefined;
      throw e;
    }
  }
  return JSON.stringify({ key, files: looks });
}

/** Paths relative to the checkout: the entries, and all that they could import. */
function modules(root: string, programs: readonly ProgramSpec[]): string[] {
  const entries = programs.map(({ entry }) => entry);
  const directories = new Set([MODULE_DIRECTORY, ...entries.map(dirname)]);
  directories.delete(".");
  const found = new Set(entries);
  for (const directory of directories) {
    const start = join(root, directory);
    for (const { path } of walkSync(start, { includeDirs: false, followSymlinks: false })) {
      found.add(path.slice(root.length + 1));
    }
  }
  return [...found].sort();
}

function readIfPresent(path: string): Uint8Array | undefined {
  try {
    return Deno.readFileSync(path);
  } catch (e) {
    if (e instanceof Deno.errors.NotFound) return undefined;
    throw e;
  }
}
