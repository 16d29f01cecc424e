/** Putting files into a build so that nobody ever sees half of one. */

import { dirname, join } from "@std/path";
import { OngridError, systemCode } from "../cli/errors.ts";

/** What a hard link fails with where only a copy will do. */
const NO_LINK = ["EXDEV", "EPERM", "EACCES", "EMLINK", "ENOTSUP", "EOPNOTSUPP"];

/** Replaces a file by another one that `write` makes, once that is complete. */
export async function replaceFile(
  path: string,
  write: (temporary: string) => Promise<void> | void,
): Promise<void> {
  const temporary = temporaryBeside(path);
  try {
    await write(temporary);
    Deno.renameSync(temporary, path);
  } catch (cause) {
    removeIfPresent(temporary);
    if (cause instanceof OngridError) throw cause;
    throw new OngridError(`Cannot write ${path}`, { cause });
  }
}

/**
 * Replaces a file by one with the content and mode of `source`: a second name of the same file where
 * the filesystem can, since the runtime has 100 MB and whoever changes it replaces it as a whole,
 * else a copy. Links at `source` are followed.
 */
export function replaceByCopy(source: string, path: string): void {
  const temporary = temporaryBeside(path);
  try {
    linkOrCopy(Deno.realPathSync(source), temporary);
    Deno.renameSync(temporary, path);
  } catch (cause) {
    throw new OngridError(`Cannot copy ${source} to ${path}`, { cause });
  } finally {
    // Renaming one name of a file to another of its names leaves both.
    removeIfPresent(temporary);
  }
}

/** Gives a file a second name, or copies it where it cannot have one. */
export function linkOrCopy(source: string, path: string): void {
  try {
    Deno.linkSync(source, path);
  } catch (e) {
    if (!NO_LINK.includes(systemCode(e) ?? "")) throw e;
    Deno.copyFileSync(source, path);
  }
}

function temporaryBeside(path: string): string {
  return join(dirname(path), `.${crypto.randomUUID()}.tmp`);
}

/** Removes a file where there is one. */
export function removeIfPresent(path: string): void {
  try {
    Deno.removeSync(path);
  } catch (e) {
    if (!(e instanceof Deno.errors.NotFound)) throw e;
  }
}
