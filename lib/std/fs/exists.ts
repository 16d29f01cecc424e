import { isNotFound } from "./_paths.ts";

/** What {@linkcode exists} asks for beside existence. Links are followed. */
export interface ExistsOptions {
  /** Whether it must be readable by the user who runs this, going by its mode. */
  isReadable?: boolean;
  /** Whether it must be a directory. Not together with `isFile`. */
  isDirectory?: boolean;
  /** Whether it must be a file. Not together with `isDirectory`. */
  isFile?: boolean;
}

/**
 * Whether there is something at `path`, of the kind asked for.
 *
 * What it says may be out of date a moment later: rather do what you want to do, and handle
 * `NotFound`.
 *
 * Throws `TypeError` when both kinds are asked for, and whatever keeps it from looking.
 */
export async function exists(path: string | URL, options?: ExistsOptions): Promise<boolean> {
  try {
    return matches(await Deno.stat(path), options);
  } catch (error) {
    if (isNotFound(error)) return false;
    if (error instanceof Deno.errors.PermissionDenied) {
      // Refused by the file system, not by Deno: it is there, but cannot be read.
      const { state } = await Deno.permissions.query({ name: "read", path });
      if (state === "granted") return !options?.isReadable;
    }
    throw error;
  }
}

/** Like {@linkcode exists}, in one go. */
export function existsSync(path: string | URL, options?: ExistsOptions): boolean {
  try {
    return matches(Deno.statSync(path), options);
  } catch (error) {
    if (isNotFound(error)) return false;
    if (error instanceof Deno.errors.PermissionDenied) {
      const { state } = Deno.permissions.querySync({ name: "read", path });
      if (state === "granted") return !options?.isReadable;
    }
    throw error;
  }
}

function matches(info: Deno.FileInfo, options: ExistsOptions = {}): boolean {
  const { isDirectory, isFile, isReadable } = options;
  if (isDirectory && isFile) {
    throw new TypeError(
      "ExistsOptions.options.isDirectory and ExistsOptions.options.isFile must not be true together",
    );
  }
  if (isDirectory && !info.isDirectory || isFile && !info.isFile) return false;
  return !isReadable || readable(info);
}

function readable({ mode, uid, gid }: Deno.FileInfo): boolean {
  if (mode === null) return true;
  if (Deno.uid() === uid) return (mode & 0o400) !== 0;
  return (mode & (Deno.gid() === gid ? 0o040 : 0o004)) !== 0;
}
