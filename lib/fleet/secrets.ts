/**
 * Access keys, secrets and tokens: random strings, of which only a hash is stored.
 *
 * The hash is one round of SHA-256, on purpose no slow one such as argon2. A slow hash protects
 * what a person can remember; these are 192 and 256 random bits, which nobody can try through. A
 * slow one would instead hurt at the worst moment: after a restart thousands of edges connect at
 * once, each is checked twice, and 64 MiB a check would be minutes of waiting and gigabytes of
 * memory.
 */

import { createHash, timingSafeEqual } from "node:crypto";
import type { Effects } from "./effects.ts";

const ACCESS_KEY_BYTES = 18;
const SECRET_BYTES = 24;
const TOKEN_BYTES = 32;

/** The longest key, secret or token that is looked at, in characters; ours have 24 to 43. */
export const MAX_SECRET_CHARS = 256;

/** What an edge is given once, when it is enrolled. */
export interface EdgeCredentials {
  /** Names the edge; no secret. 24 characters, base64url. */
  accessKey: string;
  /** 32 characters, base64url. */
  secret: string;
}

/** New credentials of an edge. */
export function newEdgeCredentials(effects: Effects): EdgeCredentials {
  return {
    accessKey: base64Url(effects.randomBytes(ACCESS_KEY_BYTES)),
    secret: base64Url(effects.randomBytes(SECRET_BYTES)),
  };
}

/** A new bearer token: 43 characters, base64url. */
export function newToken(effects: Effects): string {
  return base64Url(effects.randomBytes(TOKEN_BYTES));
}

/** A new password for the first administrator: 24 characters, base64url. */
export function newPassword(effects: Effects): string {
  return base64Url(effects.randomBytes(ACCESS_KEY_BYTES));
}

/** What is stored of a secret or token. */
export function hashSecret(secret: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(createHash("sha256").update(secret, "utf8").digest());
}

/** Whether `secret` is the one that `hash` was made of; takes the same time either way. */
export function secretMatches(secret: string, hash: Uint8Array): boolean {
  const own = hashSecret(secret);
  return own.length === hash.length && timingSafeEqual(own, hash);
}

function base64Url(bytes: Uint8Array<ArrayBuffer>): string {
  return bytes.toBase64({ alphabet: "base64url", omitPadding: true });
}
