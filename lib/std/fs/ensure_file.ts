import { dirname } from "@std/path";
import { isNotFound, toPathString, typeOf } from "./_paths.ts";
import { ensureDir, ensureDirSync } from "./ensure_dir.ts";

/**
 * Creates an empty file and its parent directories unless it is there; its content is left alone.
 * Throws `Error` when something else, be it a link to a
 * file, is there.
 */
export async function ensureFile(filePath: string | URL): Promise<void> {
  try {
    return assertFile(await Deno.lstat(filePath));
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
  await ensureDir(dirname(toPathString(filePath)));
  await Deno.writeFile(filePath, new Uint8Array());
}

/** Like {@linkcode ensureFile}, in one go. */
export function ensureFileSync(filePath: string | URL): void {
  try {
    return assertFile(Deno.lstatSync(filePath));
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
  ensureDirSync(dirname(toPathString(filePath)));
  Deno.writeFileSync(filePath, new Uint8Array());
}

function assertFile(info: Deno.FileInfo): void {
  if (info.isFile) return;
  throw new Error(`Failed to ensure file exists: expected 'file', got '${typeOf(info)}'`);
}
