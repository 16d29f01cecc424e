import { AssertionError, suffixOf } from "./assertion_error.ts";

/** Throws `AssertionError` unless `expected` matches somewhere in `actual`. */
export function assertMatch(actual: string, expected: RegExp, msg?: string): void {
  if (expected.test(actual)) return;
  throw new AssertionError(`Expected actual: "${actual}" to match: "${expected}"${suffixOf(msg)}`);
}

/** Throws `AssertionError` when `expected` matches somewhere in `actual`. */
export function assertNotMatch(actual: string, expected: RegExp, msg?: string): void {
  if (!expected.test(actual)) return;
  throw new AssertionError(
    `Expected actual: "${actual}" to not match: "${expected}"${suffixOf(msg)}`,
  );
}

/** Throws `AssertionError` unless `expected` is a part of `actual`. */
export function assertStringIncludes(actual: string, expected: string, msg?: string): void {
  if (actual.includes(expected)) return;
  throw new AssertionError(
    `Expected actual: "${actual}" to contain: "${expected}"${suffixOf(msg)}`,
  );
}
