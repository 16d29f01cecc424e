import { join } from "@std/path";
import { isNotFound, toPathString } from "./_paths.ts";

/** Removes everything in a directory, not the directory itself; creates it when it is absent. */
export async function emptyDir(dir: string | URL): Promise<void> {
  try {
    const entries = await Array.fromAsync(Deno.readDir(dir));
    await Promise.all(
      entries.map(({ name }) => Deno.remove(join(toPathString(dir), name), { recursive: true })),
    );
  } catch (error) {
    if (!isNotFound(error)) throw error;
    await Deno.mkdir(dir, { recursive: true });
  }
}

/** Like {@linkcode emptyDir}, in one go. */
export function emptyDirSync(dir: string | URL): void {
  try {
    // Listed before the first removal: a directory must not change while it is being read.
    for (const { name } of [...Deno.readDirSync(dir)]) {
      Deno.removeSync(join(toPathString(dir), name), { recursive: true });
    }
  } catch (error) {
    if (!isNotFound(error)) throw error;
    Deno.mkdirSync(dir, { recursive: true });
  }
}
