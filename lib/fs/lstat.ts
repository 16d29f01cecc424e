/**
 * What has this name, not following a link there; `undefined` where nothing has. Throws the
 * system's error where that cannot be told.
 */
export function lstatOrUndefined(path: string): Deno.FileInfo | undefined {
  try {
    return Deno.lstatSync(path);
  } catch (e) {
    if (e instanceof Deno.errors.NotFound) return undefined;
    throw e;
  }
}
