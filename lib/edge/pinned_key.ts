import { join } from "@std/path";
import { InvalidBundleError, OngridError } from "../cli/errors.ts";
import { SIGNATURE_NAME } from "../bundle/owned.ts";
import {
  MAX_SIGNATURE_BYTES,
  parsePublicKey,
  type PublicKey,
  verifySignature,
} from "../bundle/signature.ts";
import { readForeign } from "../fs/foreign.ts";
import { lstatOrUndefined } from "../fs/lstat.ts";

/**
 * The key that this host's bundles must be signed with.
 *
 * @param trustedOwner the only user whose key counts; undefined to take anybody's.
 * @returns undefined where none is pinned.
 * @throws {OngridError} a file of that name is there but cannot be trusted or read: a host that was
 * told to insist on signatures must not go without because its key is damaged.
 */
export function pinnedKey(path: string, trustedOwner?: number): PublicKey | undefined {
  const info = lstatOrUndefined(path);
  if (!info) return undefined;
  const isTrusted = info.isFile && (trustedOwner === undefined ||
    (info.uid === trustedOwner && ((info.mode ?? 0) & 0o022) === 0));
  if (!isTrusted) {
    throw new OngridError(`the pinned key ${path} is not a file that only root can change`, {
      hint: `chown root:root ${path}; chmod 644 ${path}`,
    });
  }
  const bytes = readForeign(path, { maxBytes: MAX_SIGNATURE_BYTES });
  return bytes && parsePublicKey(bytes);
}

/**
 * Checks the signature of a bundle's manifest where a key is pinned.
 *
 * @param directory the unpacked bundle.
 * @param manifest the manifest's bytes, the same that will be used.
 * @throws {InvalidBundleError} there is no signature, or not one of this manifest by this key.
 */
export function checkBundleSignature(
  directory: string,
  manifest: Uint8Array,
  key: PublicKey | undefined,
): void {
  if (!key) return;
  const signature = readForeign(join(directory, SIGNATURE_NAME), { maxBytes: MAX_SIGNATURE_BYTES });
  if (!signature) {
    throw new InvalidBundleError(`signature: ${SIGNATURE_NAME} is missing, and a key is pinned`);
  }
  verifySignature({ content: manifest, signature, key });
}
