/** The algorithms of `digest` and `digestSync`; `MD5` and `SHA-1` are no protection any more. */
export const DIGEST_ALGORITHM_NAMES = [
  "MD5",
  "SHA-1",
  "SHA-224",
  "SHA-256",
  "SHA-384",
  "SHA-512",
  "SHA3-224",
  "SHA3-256",
  "SHA3-384",
  "SHA3-512",
] as const;

/** The name of an algorithm. */
export type DigestAlgorithmName = typeof DIGEST_ALGORITHM_NAMES[number];

/** Whether `name` is one of the algorithms here. */
export function isKnown(name: string): name is DigestAlgorithmName {
  return (DIGEST_ALGORITHM_NAMES as readonly string[]).includes(name);
}

/** A digest in the making. */
export class HashContext {
  readonly #hash: ReturnType<typeof import("node:crypto").createHash>;

  /** Throws `TypeError` for an algorithm that is not known. */
  constructor(name: string) {
    if (!isKnown(name)) throw new TypeError("unsupported algorithm");
    const { createHash } = globalThis.process.getBuiltinModule("node:crypto");
    this.#hash = createHash(name.toLowerCase().replace("sha-", "sha"));
  }

  /** Adds one piece. It is read at once: the caller may use its memory again. */
  update(piece: unknown): void {
    if (piece instanceof Uint8Array) this.#hash.update(piece);
    else if (ArrayBuffer.isView(piece)) {
      this.#hash.update(new Uint8Array(piece.buffer, piece.byteOffset, piece.byteLength));
    } else if (piece instanceof ArrayBuffer) {
      this.#hash.update(new Uint8Array(piece));
    } else {
      throw new TypeError("Cannot digest the data: A chunk is not ArrayBuffer nor ArrayBufferView");
    }
  }

  /** Ends it. Throws `TypeError` for a `length`, in bytes, that is not the one of the algorithm. */
  digest(length: number | undefined): ArrayBuffer {
    // A copy, for the original may be a part of a larger buffer.
    const bytes = new Uint8Array(this.#hash.digest());
    if (length !== undefined && length !== bytes.length) {
      throw new TypeError("non-default length specified for non-extendable algorithm");
    }
    return bytes.buffer;
  }
}
