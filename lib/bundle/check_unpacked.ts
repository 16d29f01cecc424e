/** Whether an unpacked bundle is what its own manifest and whoever asked for it say. */

import { createHash } from "node:crypto";
import { InvalidBundleError } from "../cli/errors.ts";
import { checkDeclared, type Manifest, parseManifest } from "./manifest.ts";
import { type ManagedRoots, MANIFEST_NAME, VERSION_NAME } from "./owned.ts";
import { quote } from "./text.ts";
import type { Unpacked } from "./unpack.ts";
import { parseVersionFile, sameVersion } from "./version.ts";

/** What an unpacked bundle is checked against. */
export interface Expected {
  readonly roots: ManagedRoots;
  /** The version that was asked for; not compared when absent. */
  readonly version?: string | undefined;
  /** The system of this host, `linux-amd64`; not compared when absent. */
  readonly arch?: string | undefined;
}

/** A bundle whose every line holds. */
export interface CheckedBundle {
  readonly version: string;
  readonly manifest: Manifest;
  /** Lower-case hex SHA-256 of `MANIFEST.txt`, by which a bundle is known later on. */
  readonly manifestSha256: string;
}

/**
 * Checks `VERSION`, the manifest, what it declares, and every line's hash against the files as they
 * were hashed while being written.
 *
 * @throws {InvalidBundleError} `manifest: …` in the words that existing agents use, or what is
 * wrong with `VERSION`.
 */
export function checkUnpacked({ tree, kept }: Unpacked, expected: Expected): CheckedBundle {
  const versionBytes = kept.get(VERSION_NAME);
  if (versionBytes === undefined) throw new InvalidBundleError(`${VERSION_NAME} is missing`);
  const version = parseVersionFile(versionBytes);
  if (expected.version !== undefined && !sameVersion(version, expected.version)) {
    throw new InvalidBundleError(
      `version mismatch (the bundle is ${quote(version)}, asked for ${quote(expected.version)})`,
    );
  }
  const bytes = kept.get(MANIFEST_NAME);
  if (bytes === undefined) {
    throw new InvalidBundleError(`manifest: open manifest: ${MANIFEST_NAME} is missing`);
  }
  const manifest = prefixed(() => {
    const parsed = parseManifest(bytes, expected.roots);
    checkDeclared(parsed, { version, arch: expected.arch });
    return parsed;
  });
  checkHashes(manifest, tree);
  return { version, manifest, manifestSha256: createHash("sha256").update(bytes).digest("hex") };
}

function checkHashes(manifest: Manifest, tree: Unpacked["tree"]): void {
  for (const { src, sha256 } of manifest.entries) {
    const actual = tree.files.get(src);
    if (actual === undefined) {
      const what = tree.directories.has(src) ? "is a directory" : "is missing";
      throw new InvalidBundleError(`manifest: src ${what}: ${quote(src)}`);
    }
    if (actual !== sha256) {
      throw new InvalidBundleError(
        `manifest: sha mismatch for ${src} (got ${actual}, want ${sha256})`,
      );
    }
  }
}

function prefixed<T>(action: () => T): T {
  try {
    return action();
  } catch (cause) {
    if (!(cause instanceof InvalidBundleError)) throw cause;
    throw new InvalidBundleError(`manifest: ${cause.message}`, { hint: cause.hint });
  }
}
