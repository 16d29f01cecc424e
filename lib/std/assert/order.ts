import { format } from "./_diff.ts";
import { AssertionError } from "./assertion_error.ts";

/** Throws `AssertionError` unless `actual > expected`. */
export function assertGreater<T>(actual: T, expected: T, msg?: string): void {
  if (!(actual > expected)) throw unordered(actual, ">", expected, msg);
}

/** Throws `AssertionError` unless `actual >= expected`. */
export function assertGreaterOrEqual<T>(actual: T, expected: T, msg?: string): void {
  if (!(actual >= expected)) throw unordered(actual, ">=", expected, msg);
}

/** Throws `AssertionError` unless `actual < expected`. */
export function assertLess<T>(actual: T, expected: T, msg?: string): void {
  if (!(actual < expected)) throw unordered(actual, "<", expected, msg);
}

/** Throws `AssertionError` unless `actual <= expected`. */
export function assertLessOrEqual<T>(actual: T, expected: T, msg?: string): void {
  if (!(actual <= expected)) throw unordered(actual, "<=", expected, msg);
}

function unordered<T>(actual: T, sign: string, expected: T, msg: string | undefined): Error {
  return new AssertionError(msg ?? `Expect ${format(actual)} ${sign} ${format(expected)}`);
}
