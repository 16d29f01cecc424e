import { AssertionError, suffixOf } from "./assertion_error.ts";

/**
 * A class of errors.
 * @internal
 */
type ErrorClassOf<E extends Error> = new (...args: never[]) => E;

interface Expectation<E extends Error> {
  ErrorClass?: ErrorClassOf<E> | undefined;
  msgIncludes?: string | undefined;
  msg?: string | undefined;
}

/** Throws `AssertionError` unless `fn` throws. Returns what it threw. */
export function assertThrows(fn: () => unknown, msg?: string): unknown;
/**
 * Throws `AssertionError` unless `fn` throws an `ErrorClass` whose message contains `msgIncludes`
 * (terminal colours do not count). Returns the error.
 */
export function assertThrows<E extends Error = Error>(
  fn: () => unknown,
  ErrorClass: ErrorClassOf<E>,
  msgIncludes?: string,
  msg?: string,
): E;
export function assertThrows<E extends Error = Error>(
  fn: () => unknown,
  classOrMsg?: ErrorClassOf<E> | string,
  msgIncludes?: string,
  msg?: string,
): unknown {
  const expected = readExpectation(classOrMsg, msgIncludes, msg);
  try {
    fn();
  } catch (error) {
    checkError(error, expected, "thrown");
    return error;
  }
  throw new AssertionError(`Expected function to throw${suffixOf(expected.msg)}`);
}

/** Throws `AssertionError` unless the promise `fn` returns rejects. Resolves to the reason. */
export function assertRejects(fn: () => PromiseLike<unknown>, msg?: string): Promise<unknown>;
/**
 * Throws `AssertionError` unless the promise `fn` returns rejects with an `ErrorClass` whose message
 * contains `msgIncludes` (terminal colours do not count). Resolves to the error. A function that
 * throws instead of returning a promise fails the assertion.
 */
export function assertRejects<E extends Error = Error>(
  fn: () => PromiseLike<unknown>,
  ErrorClass: ErrorClassOf<E>,
  msgIncludes?: string,
  msg?: string,
): Promise<E>;
export async function assertRejects<E extends Error = Error>(
  fn: () => PromiseLike<unknown>,
  classOrMsg?: ErrorClassOf<E> | string,
  msgIncludes?: string,
  msg?: string,
): Promise<unknown> {
  const expected = readExpectation(classOrMsg, msgIncludes, msg);
  const promise = startPromise(fn);
  if (promise === undefined) {
    throw new AssertionError(`Function throws when expected to reject${suffixOf(expected.msg)}`);
  }
  try {
    await promise;
  } catch (error) {
    checkError(error, expected, "rejected");
    return error;
  }
  throw new AssertionError(`Expected function to reject${suffixOf(expected.msg)}`);
}

/** Throws `AssertionError` unless `error` is an `ErrorClass` with a message as expected. */
export function assertIsError<E extends Error = Error>(
  error: unknown,
  ErrorClass?: ErrorClassOf<E>,
  msgMatches?: string | RegExp,
  msg?: string,
): asserts error is E {
  if (!(error instanceof Error)) {
    throw new AssertionError(`Expected "error" to be an Error object${suffixOf(msg)}`);
  }
  if (ErrorClass && !(error instanceof ErrorClass)) {
    throw new AssertionError(
      `Expected error to be instance of "${ErrorClass.name}", ` +
        `but was "${error.constructor?.name}"${suffixOf(msg)}`,
    );
  }
  if (!msgMatches) return;
  const text = stripColours(error.message);
  const matches = typeof msgMatches === "string"
    ? text.includes(stripColours(msgMatches))
    : msgMatches.test(text);
  if (matches) return;
  const wanted = typeof msgMatches === "string" ? JSON.stringify(msgMatches) : String(msgMatches);
  throw new AssertionError(
    `Expected error message to include ${wanted}, ` +
      `but got ${JSON.stringify(error.message)}${suffixOf(msg)}`,
  );
}

function readExpectation<E extends Error>(
  classOrMsg: ErrorClassOf<E> | string | undefined,
  msgIncludes: string | undefined,
  msg: string | undefined,
): Expectation<E> {
  if (typeof classOrMsg === "string") return { msg: classOrMsg };
  return { ErrorClass: classOrMsg, msgIncludes, msg };
}

function checkError<E extends Error>(
  error: unknown,
  { ErrorClass, msgIncludes, msg }: Expectation<E>,
  how: "thrown" | "rejected",
): void {
  if (ErrorClass === undefined) return;
  if (!(error instanceof Error)) {
    throw new AssertionError(`A non-Error object was ${how}${suffixOf(msg)}`);
  }
  assertIsError(error, ErrorClass, msgIncludes, msg);
}

function startPromise(fn: () => PromiseLike<unknown>): PromiseLike<unknown> | undefined {
  try {
    const promise = fn();
    return typeof promise?.then === "function" ? promise : undefined;
  } catch {
    // Thrown before there was a promise: the caller reports that as its own failure.
    return undefined;
  }
}

function stripColours(text: string): string {
  // deno-lint-ignore no-control-regex -- the escape character is what starts a colour code.
  return text.replace(/\x1b\[[0-9;]*m/g, "");
}
