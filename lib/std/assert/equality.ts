import { difference, format } from "./_diff.ts";
import { AssertionError, suffixOf } from "./assertion_error.ts";
import { equal } from "./equal.ts";

/** Throws `AssertionError` with a line by line difference unless both are deeply equal. */
export function assertEquals<T>(actual: T, expected: T, msg?: string): void {
  if (equal(actual, expected)) return;
  throw new AssertionError(`Values are not equal${suffixOf(msg)}\n${difference(actual, expected)}`);
}

/** Throws `AssertionError` when both are deeply equal. */
export function assertNotEquals<T>(actual: T, expected: T, msg?: string): void {
  if (!equal(actual, expected)) return;
  throw new AssertionError(
    `Expected actual: ${format(actual)} not to be: ${format(expected)}${suffixOf(msg)}`,
  );
}

/** Throws `AssertionError` unless both are the same value, as `Object.is` sees it. */
export function assertStrictEquals<T>(
  actual: unknown,
  expected: T,
  msg?: string,
): asserts actual is T {
  if (Object.is(actual, expected)) return;
  const text = format(actual);
  if (text === format(expected)) {
    const indented = text.split("\n").map((line) => `    ${line}`).join("\n");
    throw new AssertionError(
      "Values have the same structure but are not reference-equal" +
        `${suffixOf(msg)}\n\n${indented}\n`,
    );
  }
  throw new AssertionError(
    `Values are not strictly equal${suffixOf(msg)}\n${difference(actual, expected)}`,
  );
}

/** Throws `AssertionError` when both are the same value, as `Object.is` sees it. */
export function assertNotStrictEquals<T>(actual: T, expected: T, msg?: string): void {
  if (!Object.is(actual, expected)) return;
  throw new AssertionError(
    `Expected "actual" to not be strictly equal to: ${format(actual)}${suffixOf(msg)}\n`,
  );
}
