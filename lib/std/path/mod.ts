/**
 * Paths of the POSIX kind: the part of `@std/path` that this repository uses, for Linux and macOS.
 *
 * Signatures and results are those of the published package, so that taking the `links` entry out of
 * the root `deno.json` is all it takes to run on that one. It imports nothing: the hook that runs
 * before every start of the agent loads it, and `node:path` alone would cost it 14 ms.
 *
 * @module
 */
export { basename, dirname, extname, isAbsolute } from "./parts.ts";
export { common, join, normalize, relative, resolve } from "./combine.ts";
export { format, parse, type ParsedPath } from "./parsed_path.ts";
export { fromFileUrl, toFileUrl } from "./file_url.ts";
export { DELIMITER, SEPARATOR } from "./constants.ts";
