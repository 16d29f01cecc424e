/** Names of edge bundles, and the `.sha256` file beside each. */

import { InvalidBundleError } from "../cli/errors.ts";
import { writeFileDurable } from "../fs/durable.ts";
import { readForeignText } from "../fs/foreign.ts";
import { quote } from "./text.ts";
import { isPlainVersion } from "./version.ts";

/** The systems that edges run on. */
export const EDGE_ARCHES = ["linux-amd64", "linux-arm64"] as const;

/** A system that an edge runs on; an edge only ever gets a bundle of its own. */
export type EdgeArch = (typeof EDGE_ARCHES)[number];

/** Whether `text` is the name of a system that edges run on. */
export function isEdgeArch(text: string): text is EdgeArch {
  return EDGE_ARCHES.some((arch) => arch === text);
}

/** Which bundle it is. */
export interface BundleId {
  readonly arch: EdgeArch;
  readonly version: string;
}

/** The file name of a bundle: `edge-bundle-<arch>-<version>.tar.gz`. */
export function bundleFileName({ arch, version }: BundleId): string {
  return `edge-bundle-${arch}-${version}.tar.gz`;
}

/** What {@link bundleFileName} was given, or `undefined` when `name` is no bundle's. */
export function parseBundleFileName(name: string): BundleId | undefined {
  const [, arch = "", version = ""] = /^edge-bundle-(linux-[a-z0-9]+)-(.+)\.tar\.gz$/.exec(name) ??
    [];
  return isEdgeArch(arch) && isPlainVersion(version) ? { arch, version } : undefined;
}

/** The path of a bundle's sidecar. */
export function sidecarPath(bundlePath: string): string {
  return `${bundlePath}.sha256`;
}

/** Bytes of a sidecar: 64 digits, and a path where `sha256sum` wrote it. */
export const MAX_SIDECAR_BYTES = 8 * 1024;

/**
 * The hash in a sidecar: the first 64 characters, alone or followed by white space and a name as
 * `sha256sum` writes it.
 *
 * @returns Lower-case hex.
 * @throws {InvalidBundleError} It does not start with a SHA-256.
 */
export function parseSidecar(text: string): string {
  const [, sha256] = /^([0-9a-fA-F]{64})(?:\s|$)/.exec(text) ?? [];
  if (sha256 === undefined) {
    throw new InvalidBundleError(`sidecar does not start with 64 hex digits (${quote(text)})`, {
      hint: "Write it again with: sha256sum <bundle> > <bundle>.sha256",
    });
  }
  return sha256.toLowerCase();
}

/**
 * The hash in the sidecar of a bundle; `undefined` when there is no sidecar.
 *
 * @throws {InvalidBundleError} It does not start with a SHA-256; the message names the file.
 * @throws {ForeignFileError} It is not a small regular file.
 */
export function readSidecar(bundlePath: string): string | undefined {
  const path = sidecarPath(bundlePath);
  const text = readForeignText(path, { maxBytes: MAX_SIDECAR_BYTES });
  if (text === undefined) return undefined;
  try {
    return parseSidecar(text);
  } catch (cause) {
    throw new InvalidBundleError(`Cannot use ${path}`, { cause });
  }
}

/** Writes the sidecar of a bundle durably: the 64 digits and a newline, as existing readers want. */
export function writeSidecar(bundlePath: string, sha256: string): void {
  writeFileDurable(sidecarPath(bundlePath), `${sha256}\n`, { mode: 0o644 });
}
