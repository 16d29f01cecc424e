import { AssertionError, suffixOf } from "./assertion_error.ts";

/** What is left of a type when {@linkcode assertFalse} has passed. */
export type Falsy = false | 0 | 0n | "" | null | undefined;

/** Any class that can be constructed. */
export type AnyConstructor = new (...args: never[]) => unknown;

/** The instance type of a class. */
export type GetConstructorType<T extends AnyConstructor> = T extends
  new (...args: never[]) => infer C ? C : never;

/** Throws `AssertionError` unless `expr` is truthy. */
export function assert(expr: unknown, msg = ""): asserts expr {
  if (!expr) throw new AssertionError(msg);
}

/** Throws `AssertionError` when `expr` is truthy. */
export function assertFalse(expr: unknown, msg = ""): asserts expr is Falsy {
  if (expr) throw new AssertionError(msg);
}

/** Throws `AssertionError` when `actual` is `null` or `undefined`. */
export function assertExists<T>(actual: T, msg?: string): asserts actual is NonNullable<T> {
  if (actual !== undefined && actual !== null) return;
  throw new AssertionError(
    `Expected actual: "${actual}" to not be null or undefined${suffixOf(msg)}`,
  );
}

/** Throws `AssertionError` unless `actual` is an instance of `expectedType`. */
export function assertInstanceOf<T extends AnyConstructor>(
  actual: unknown,
  expectedType: T,
  msg = "",
): asserts actual is GetConstructorType<T> {
  if (actual instanceof expectedType) return;
  const expected = `Expected object to be an instance of "${expectedType.name}"`;
  const found = describeType(actual);
  let but = ` but was "${found}"`;
  if (found === expectedType.name) but = "";
  else if (found === "function") but = " but was not an instanced object";
  throw new AssertionError(`${expected}${but}${suffixOf(msg)}`);
}

function describeType(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  return typeof value === "object" ? value.constructor?.name ?? "Object" : typeof value;
}

/** Always throws `AssertionError`. */
export function fail(msg?: string): never {
  throw new AssertionError(`Failed assertion${suffixOf(msg)}`);
}

/** Always throws `AssertionError`: marks code that no run may reach. */
export function unreachable(msg?: string): never {
  throw new AssertionError(`Unreachable${suffixOf(msg)}`);
}
