/**
 * Signatures in minisign's format: Ed25519 over the BLAKE2b-512 hash of the file ("prehashed"),
 * with a trusted comment under a second signature.
 * Source: https://jedisct1.github.io/minisign/, "Signature format" and "Public key format".
 */

import { InvalidBundleError, OngridError } from "../cli/errors.ts";
import { decodeText, quote } from "./text.ts";

/** Bytes of a signature or key file: four lines, the longest a comment of at most 8 KiB. */
export const MAX_SIGNATURE_BYTES = 16 * 1024;

const KEY_ID_BYTES = 8;
const SIGNATURE_BYTES = 64;
const PUBLIC_KEY_BYTES = 32;

/** A minisign public key. */
export interface PublicKey {
  /** The key's number as minisign prints it: 16 upper-case hex digits. */
  readonly id: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/**
 * Reads a public key file: an untrusted comment, then the key in base64; the key's line alone will
 * do.
 *
 * @throws {OngridError} it is not a minisign public key.
 */
export function parsePublicKey(file: Uint8Array | string): PublicKey {
  const lines = linesOf(file, "the public key");
  const line = lines.find((text) => !text.startsWith("untrusted comment:")) ?? "";
  const bytes = fromBase64(line);
  const isKey = bytes?.length === 2 + KEY_ID_BYTES + PUBLIC_KEY_BYTES && ascii(bytes, 2) === "Ed";
  if (!bytes || !isKey) {
    throw new OngridError("the public key is not a minisign public key", {
      hint: "It has two lines: a comment, and 56 characters that begin with RW.",
    });
  }
  return { id: keyId(bytes.subarray(2)), bytes: bytes.slice(2 + KEY_ID_BYTES) };
}

/**
 * Verifies a detached signature.
 *
 * @returns the trusted comment, which the signature covers.
 * @throws {InvalidBundleError} naming what is wrong: malformed, legacy, made with another key, or
 * not the signature of this content.
 */
export function verifySignature(
  options: { content: Uint8Array; signature: Uint8Array | string; key: PublicKey },
): { trustedComment: string } {
  const { content, key } = options;
  const parts = parseSignature(options.signature);
  if (parts.keyId !== key.id) {
    throw new InvalidBundleError(
      `signature: made with key ${parts.keyId}, the pinned key is ${key.id}`,
    );
  }
  const { createHash } = nodeCrypto();
  const digest = createHash("blake2b512").update(content).digest();
  if (!isSigned(digest, parts.signature, key)) {
    throw new InvalidBundleError("signature: it is not the signature of this file");
  }
  const comment = new TextEncoder().encode(parts.trustedComment);
  const covered = new Uint8Array([...parts.signature, ...comment]);
  if (!isSigned(covered, parts.globalSignature, key)) {
    throw new InvalidBundleError("signature: its trusted comment was altered");
  }
  return { trustedComment: parts.trustedComment };
}

interface SignatureParts {
  readonly keyId: string;
  readonly signature: Uint8Array;
  readonly trustedComment: string;
  readonly globalSignature: Uint8Array;
}

function parseSignature(file: Uint8Array | string): SignatureParts {
  const [untrusted = "", line = "", trusted = "", globalLine = ""] = linesOf(file, "signature");
  const bytes = fromBase64(line);
  const globalSignature = fromBase64(globalLine);
  const prefix = "trusted comment: ";
  if (
    !untrusted.startsWith("untrusted comment:") || !trusted.startsWith(prefix) ||
    bytes?.length !== 2 + KEY_ID_BYTES + SIGNATURE_BYTES ||
    globalSignature?.length !== SIGNATURE_BYTES
  ) {
    throw new InvalidBundleError("signature: it is not a minisign signature");
  }
  const algorithm = ascii(bytes, 2);
  if (algorithm === "Ed") {
    throw new InvalidBundleError(
      "signature: legacy, not prehashed; sign with minisign 0.10 or newer and without -l",
    );
  }
  if (algorithm !== "ED") {
    throw new InvalidBundleError(`signature: unknown algorithm ${quote(algorithm)}`);
  }
  return {
    keyId: keyId(bytes.subarray(2)),
    signature: bytes.slice(2 + KEY_ID_BYTES),
    trustedComment: trusted.slice(prefix.length),
    globalSignature,
  };
}

function isSigned(content: Uint8Array, signature: Uint8Array, key: PublicKey): boolean {
  const { createPublicKey, verify } = nodeCrypto();
  const x = key.bytes.toBase64({ alphabet: "base64url", omitPadding: true });
  const publicKey = createPublicKey({ key: { kty: "OKP", crv: "Ed25519", x }, format: "jwk" });
  return verify(null, content, publicKey, signature);
}

function linesOf(file: Uint8Array | string, name: string): string[] {
  return decodeText(file, { name, maxBytes: MAX_SIGNATURE_BYTES }).replace(/\n$/, "").split("\n")
    .map((line) => line.replace(/\r$/, ""));
}

function fromBase64(text: string): Uint8Array<ArrayBuffer> | undefined {
  try {
    return Uint8Array.fromBase64(text, { lastChunkHandling: "strict" });
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function ascii(bytes: Uint8Array, count: number): string {
  return String.fromCharCode(...bytes.subarray(0, count));
}

/** The id is stored least significant byte first, and printed as a number. */
function keyId(bytes: Uint8Array): string {
  return bytes.slice(0, KEY_ID_BYTES).reverse().toHex().toUpperCase();
}

/** Loaded at the first signature: a static import costs every program tens of milliseconds. */
function nodeCrypto(): typeof import("node:crypto") {
  return globalThis.process.getBuiltinModule("node:crypto");
}
