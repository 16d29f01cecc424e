import { isNotFound, typeOf } from "./_paths.ts";

/**
 * Creates a directory and its parents unless it is there. A link to a directory will do. Throws
 * `Error` when something else is there.
 */
export async function ensureDir(dir: string | URL): Promise<void> {
  try {
    return assertDirectory(await Deno.stat(dir));
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
  try {
    await Deno.mkdir(dir, { recursive: true });
  } catch (error) {
    // Somebody else may have been quicker: then it counts what that one made.
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    assertDirectory(await Deno.stat(dir));
  }
}

/** Like {@linkcode ensureDir}, in one go. */
export function ensureDirSync(dir: string | URL): void {
  try {
    return assertDirectory(Deno.statSync(dir));
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
  try {
    Deno.mkdirSync(dir, { recursive: true });
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    assertDirectory(Deno.statSync(dir));
  }
}

function assertDirectory(info: Deno.FileInfo): void {
  if (info.isDirectory) return;
  throw new Error(`Failed to ensure directory exists: expected 'dir', got '${typeOf(info)}'`);
}
