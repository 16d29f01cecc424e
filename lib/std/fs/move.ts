import { isBelow, isNotFound, isSamePath } from "./_paths.ts";

/** How {@linkcode move} treats what is at the destination. */
export interface MoveOptions {
  /** Whether to remove it first, with all its content. Otherwise it is an error. */
  overwrite?: boolean;
}

/**
 * Moves a file or a directory with its content, within one file system. With `overwrite` there is a
 * moment in which neither the old nor the new destination exists: where that matters, rename.
 *
 * Throws `Deno.errors.AlreadyExists` when there is something at `dest` and `overwrite` is not set,
 * `Deno.errors.NotSupported` for a directory that would move into itself.
 */
export async function move(
  src: string | URL,
  dest: string | URL,
  options?: MoveOptions,
): Promise<void> {
  assertMovable(await Deno.stat(src), src, dest);
  if (!options?.overwrite) {
    if (await isThere(dest)) {
      throw new Deno.errors.AlreadyExists("dest already exists.");
    }
  } else {
    if (isSamePath(src, dest)) return;
    try {
      await Deno.remove(dest, { recursive: true });
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }
  await Deno.rename(src, dest);
}

/** Like {@linkcode move}, in one go. */
export function moveSync(src: string | URL, dest: string | URL, options?: MoveOptions): void {
  assertMovable(Deno.statSync(src), src, dest);
  if (!options?.overwrite) {
    if (isThereSync(dest)) {
      throw new Deno.errors.AlreadyExists("dest already exists.");
    }
  } else {
    if (isSamePath(src, dest)) return;
    try {
      Deno.removeSync(dest, { recursive: true });
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }
  Deno.renameSync(src, dest);
}

function assertMovable(info: Deno.FileInfo, src: string | URL, dest: string | URL): void {
  if (!info.isDirectory || !(isBelow(src, dest) || isSamePath(src, dest))) {
    return;
  }
  throw new Deno.errors.NotSupported(
    `Cannot move '${src}' to a subdirectory of itself, '${dest}'.`,
  );
}

async function isThere(path: string | URL): Promise<boolean> {
  try {
    await Deno.lstat(path);
    return true;
  } catch {
    // Whatever keeps it from being looked at, the rename that follows reports it.
    return false;
  }
}

function isThereSync(path: string | URL): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch {
    return false;
  }
}
