import { type DigestAlgorithmName, HashContext, isKnown } from "./_hash.ts";

/** The algorithms the runtime digests by itself, off the main thread, when it gets all at once. */
const WEB_CRYPTO_NAMES: readonly string[] = ["SHA-1", "SHA-256", "SHA-384", "SHA-512"];

/** The largest `length` of an algorithm, in bytes, that is not refused as such. */
const MAX_DIGEST_LENGTH = 0x7FFF_FFFF;

/** An algorithm by name, and the length of its digest in bytes. */
export type DigestAlgorithmObject = {
  /** The name of the algorithm. */
  name: DigestAlgorithmName;
  /** The length of the digest in bytes; the algorithms here have one length each. */
  length?: number;
};

/** An algorithm. */
export type DigestAlgorithm = DigestAlgorithmName | DigestAlgorithmObject;

/** `SubtleCrypto` with digests of data in pieces. */
export interface StdSubtleCrypto extends SubtleCrypto {
  /**
   * Resolves to the digest of `data`, which is read piece by piece when it is an iterable or a
   * stream.
   *
   * Rejects with `RangeError` for a `length` that is no length, `TypeError` for other data and other
   * lengths, and what the runtime says to an unknown algorithm.
   */
  digest(
    algorithm: DigestAlgorithm,
    data: BufferSource | AsyncIterable<BufferSource> | Iterable<BufferSource>,
  ): Promise<ArrayBuffer>;

  /**
   * Returns the digest of `data`. An iterable is asked for a piece when the one before has been
   * hashed, never for more: a generator may do other work with each piece and use its memory again.
   *
   * Throws `RangeError` for a `length` that is no length, `TypeError` for other data, other lengths
   * and an unknown algorithm.
   */
  digestSync(algorithm: DigestAlgorithm, data: BufferSource | Iterable<BufferSource>): ArrayBuffer;
}

/** `Crypto` with the extended {@linkcode StdSubtleCrypto}. */
export interface StdCrypto extends Crypto {
  /** The extended one. */
  readonly subtle: StdSubtleCrypto;
}

/** The `crypto` of the runtime with digests of data in pieces. */
export const crypto: StdCrypto = extend<StdCrypto>(globalThis.crypto, {
  subtle: extend<StdSubtleCrypto>(globalThis.crypto.subtle, {
    digest,
    digestSync,
  }),
});

async function digest(
  algorithm: DigestAlgorithm,
  data: BufferSource | AsyncIterable<BufferSource> | Iterable<BufferSource>,
): Promise<ArrayBuffer> {
  const { name, length } = readAlgorithm(algorithm);
  const whole = isBufferSource(data);
  if (!isKnown(name) || whole && WEB_CRYPTO_NAMES.includes(name)) {
    return await globalThis.crypto.subtle.digest(algorithm, data as BufferSource);
  }
  if (whole || isIterable(data)) return digestSync(algorithm, data);
  if (!isAsyncIterable(data)) {
    throw new TypeError("data must be a BufferSource or [Async]Iterable<BufferSource>");
  }
  const context = new HashContext(name);
  for await (const piece of data) context.update(piece);
  return context.digest(length);
}

function digestSync(
  algorithm: DigestAlgorithm,
  data: BufferSource | Iterable<BufferSource>,
): ArrayBuffer {
  const { name, length } = readAlgorithm(algorithm);
  if (!isBufferSource(data) && !isIterable(data)) {
    throw new TypeError("data must be a BufferSource or Iterable<BufferSource>");
  }
  const context = new HashContext(name);
  for (const piece of isBufferSource(data) ? [data] : data) {
    context.update(piece);
  }
  return context.digest(length);
}

function readAlgorithm(algorithm: DigestAlgorithm): { name: string; length: number | undefined } {
  const { name, length } = typeof algorithm === "string"
    ? { name: algorithm, length: undefined }
    : algorithm;
  const fits = length === undefined ||
    Number.isInteger(length) && length >= 0 && length <= MAX_DIGEST_LENGTH;
  if (!fits) {
    throw new RangeError(`length must be an integer between 0 and ${MAX_DIGEST_LENGTH}, inclusive`);
  }
  return { name: name.toUpperCase(), length };
}

function isBufferSource(data: unknown): data is BufferSource {
  return data instanceof ArrayBuffer || ArrayBuffer.isView(data);
}

function isIterable(data: object): data is Iterable<BufferSource> {
  return Symbol.iterator in data;
}

function isAsyncIterable(data: object): data is AsyncIterable<BufferSource> {
  return Symbol.asyncIterator in data;
}

/** `base` with some properties of its own; the methods of it work detached from it, too. */
function extend<T extends object>(base: object, own: Partial<T>): T {
  return new Proxy(base, {
    get(target, key) {
      if (Object.hasOwn(own, key)) return Reflect.get(own, key);
      const value = Reflect.get(target, key);
      return typeof value === "function" ? value.bind(target) : value;
    },
  }) as T;
}
