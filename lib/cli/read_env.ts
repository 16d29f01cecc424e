/**
 * An environment variable that only changes how messages look. A program that may not read it goes
 * without: its messages must still come out.
 */
export function readOptionalEnv(name: string): string | undefined {
  try {
    return Deno.env.get(name);
  } catch (e) {
    if (e instanceof Deno.errors.NotCapable) return undefined;
    throw e;
  }
}
