import { format } from "./_diff.ts";
import { AssertionError, suffixOf } from "./assertion_error.ts";
import { equal } from "./equal.ts";
import { assertEquals } from "./equality.ts";

/** Anything with a length and numbered elements, except a string. */
export type ArrayLikeArg<T> = ArrayLike<T> & object;

/** Throws `AssertionError` unless every element of `expected` deeply equals one of `actual`. */
export function assertArrayIncludes<T>(
  actual: ArrayLikeArg<T>,
  expected: ArrayLikeArg<T>,
  msg?: string,
): void {
  const present = Array.from(actual);
  const missing = Array.from(expected).filter((item) => !present.some((one) => equal(item, one)));
  if (missing.length === 0) return;
  throw new AssertionError(
    `Expected actual: "${format(actual)}" to include: "${format(expected)}"${suffixOf(msg)}` +
      `\nmissing: ${format(missing)}`,
  );
}

/**
 * Throws `AssertionError` unless `actual` has, deeply, everything `expected` has. `actual` may hold
 * more properties, map entries, set members and trailing array elements. Classes do not count,
 * only own properties do.
 */
export function assertObjectMatch(
  // deno-lint-ignore no-explicit-any -- only `any` lets a value of an interface type be passed.
  actual: Record<PropertyKey, any>,
  expected: Record<PropertyKey, unknown>,
  msg?: string,
): void {
  for (const value of [actual, expected]) {
    if (typeof value === "object" && value !== null) continue;
    throw new TypeError(
      `Cannot assertObjectMatch ${value === null ? "null" : `type ${typeof value}`}`,
    );
  }
  assertEquals(new Selection().of(actual, expected), new Selection().of(expected, expected), msg);
}

/** The parts of one value that another one has too, as plain objects. */
class Selection {
  readonly #done = new Map<object, { shape: unknown; part: unknown }>();

  of(value: unknown, shape: unknown): unknown {
    if (!isContainer(value) || !isContainer(shape)) return value;
    const done = this.#done.get(value);
    if (done?.shape === shape) return done.part;
    if (value instanceof Set && shape instanceof Set) {
      return value.intersection(shape);
    }
    if (value instanceof Map && shape instanceof Map) {
      const part = this.#remember(value, shape, new Map<unknown, unknown>());
      for (const [key, inner] of value) {
        if (shape.has(key)) part.set(key, this.of(inner, shape.get(key)));
      }
      return part;
    }
    if (Array.isArray(value) && Array.isArray(shape)) {
      const part = this.#remember<unknown[]>(value, shape, []);
      value.slice(0, shape.length).forEach((inner, i) => part.push(this.of(inner, shape[i])));
      return part;
    }
    const part = this.#remember(value, shape, {});
    for (const key of Reflect.ownKeys(value)) {
      if (!Object.hasOwn(shape, key)) continue;
      const inner = this.of(Reflect.get(value, key), Reflect.get(shape, key));
      // Not an assignment: a key named __proto__ has to become a property like any other.
      Object.defineProperty(part, key, { value: inner, enumerable: true });
    }
    return part;
  }

  #remember<T>(value: object, shape: unknown, part: T): T {
    this.#done.set(value, { shape, part });
    return part;
  }
}

/** Values with hidden content are compared whole: by their properties alone they all look equal. */
function isContainer(value: unknown): value is object {
  return typeof value === "object" && value !== null &&
    !(value instanceof RegExp || value instanceof Date ||
      value instanceof URL ||
      value instanceof ArrayBuffer || ArrayBuffer.isView(value));
}
