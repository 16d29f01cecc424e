/**
 * Digests of data that comes in pieces, and a comparison that leaks no timing: the part of
 * `@std/crypto` that this repository uses.
 *
 * Signatures and errors are those of the published package, so that taking the `links` entry out of
 * the root `deno.json` is all it takes to run on that one. Where that one has hashes of its own in
 * WebAssembly, this one uses the hashes of the runtime (`node:crypto`), which are several times as
 * fast; they are loaded by the first digest that needs them, for `import` alone costs 25 ms.
 *
 * @module
 */
export {
  crypto,
  type DigestAlgorithm,
  type DigestAlgorithmObject,
  type StdCrypto,
  type StdSubtleCrypto,
} from "./crypto.ts";
export { DIGEST_ALGORITHM_NAMES, type DigestAlgorithmName } from "./_hash.ts";
export { timingSafeEqual } from "./timing_safe_equal.ts";
