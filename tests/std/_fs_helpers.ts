import {
  copy,
  type CopyOptions,
  copySync,
  emptyDir,
  emptyDirSync,
  ensureDir,
  ensureDirSync,
  ensureFile,
  ensureFileSync,
  exists,
  type ExistsOptions,
  existsSync,
  move,
  type MoveOptions,
  moveSync,
  walk,
  walkSync,
} from "@std/fs";
import { join } from "@std/path";

type Place = string | URL;

/** Both ways of every function, so that each promise is kept twice. */
const BOTH = [
  { copy, emptyDir, ensureDir, ensureFile, exists, move, walk },
  {
    copy: inTime((from: Place, to: Place, options?: CopyOptions) => copySync(from, to, options)),
    emptyDir: inTime((dir: Place) => emptyDirSync(dir)),
    ensureDir: inTime((dir: Place) => ensureDirSync(dir)),
    ensureFile: inTime((file: Place) => ensureFileSync(file)),
    exists: inTime((path: Place, options?: ExistsOptions) => existsSync(path, options)),
    move: inTime((from: Place, to: Place, options?: MoveOptions) => moveSync(from, to, options)),
    walk: walkSync,
  },
] as const;

export type Functions = typeof BOTH[number];

function inTime<A extends unknown[], R>(fn: (...args: A) => R): (...args: A) => Promise<R> {
  return (...args) => new Promise((resolve) => resolve(fn(...args)));
}

/** Runs a test for both ways, each in a directory of its own. */
export function test(
  promise: string,
  fn: (dir: string, functions: Functions) => Promise<void>,
): void {
  Deno.test(promise, async () => {
    for (const functions of BOTH) {
      const dir = Deno.makeTempDirSync();
      try {
        await fn(dir, functions);
      } finally {
        Deno.removeSync(dir, { recursive: true });
      }
    }
  });
}

/** All that is in `dir`: files with their text, directories and links. */
export function tree(dir: string, prefix = ""): Record<string, string> {
  const result: Record<string, string> = {};
  for (const { name, isFile, isSymlink } of Deno.readDirSync(dir)) {
    const path = join(dir, name);
    if (isSymlink) result[prefix + name] = `-> ${Deno.readLinkSync(path)}`;
    else if (isFile) result[prefix + name] = Deno.readTextFileSync(path);
    else Object.assign(result, { [`${prefix}${name}/`]: "" }, tree(path, `${prefix}${name}/`));
  }
  return result;
}

export function plant(dir: string, files: Record<string, string>): void {
  for (const [name, text] of Object.entries(files)) {
    const path = join(dir, name);
    if (name.endsWith("/")) Deno.mkdirSync(path, { recursive: true });
    else if (text.startsWith("-> ")) Deno.symlinkSync(text.slice(3), path);
    else Deno.writeTextFileSync(path, text);
  }
}
