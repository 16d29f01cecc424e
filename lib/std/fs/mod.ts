/**
 * Files and directories: the part of `@std/fs` that this repository uses, over `Deno.*` alone.
 *
 * Signatures and errors are those of the published package, so that taking the `links` entry out of
 * the root `deno.json` is all it takes to run on that one. No `node:` module is imported: each
 * function costs nothing before it is called.
 *
 * @module
 */
export { copy, type CopyOptions, copySync } from "./copy.ts";
export { emptyDir, emptyDirSync } from "./empty_dir.ts";
export { ensureDir, ensureDirSync } from "./ensure_dir.ts";
export { ensureFile, ensureFileSync } from "./ensure_file.ts";
export { exists, type ExistsOptions, existsSync } from "./exists.ts";
export { move, type MoveOptions, moveSync } from "./move.ts";
export { walk, type WalkEntry, type WalkOptions, walkSync } from "./walk.ts";
