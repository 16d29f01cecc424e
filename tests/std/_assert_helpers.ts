import { AssertionError } from "@std/assert";

/** The message of the AssertionError that `fn` throws, without colours; judged without the package. */
export function failure(fn: () => unknown): string {
  try {
    fn();
  } catch (error) {
    if (!(error instanceof AssertionError)) throw error;
    if (error.name !== "AssertionError") throw new Error(`name is ${error.name}`);
    // deno-lint-ignore no-control-regex -- the escape character is what starts a colour code.
    return error.message.replace(/\x1b\[[0-9;]*m/g, "");
  }
  throw new Error(`did not fail: ${fn}`);
}

export async function rejection(fn: () => Promise<unknown>): Promise<string> {
  try {
    await fn();
  } catch (error) {
    return failure(() => {
      throw error;
    });
  }
  throw new Error(`did not fail: ${fn}`);
}

export function same(actual: unknown, expected: unknown): void {
  if (actual !== expected) throw new Error(`${Deno.inspect(actual)} is not ${expected}`);
}
