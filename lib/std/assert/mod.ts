/**
 * Assertions for tests: the part of `@std/assert` that the tests of this repository use.
 *
 * Signatures, error class and messages are those of the published package, so that taking the
 * `links` entry out of the root `deno.json` is all it takes to run on that one.
 *
 * @module
 */
export { AssertionError } from "./assertion_error.ts";
export * from "./basic.ts";
export * from "./collection.ts";
export * from "./equal.ts";
export * from "./equality.ts";
export * from "./order.ts";
export * from "./text.ts";
export * from "./throws.ts";
