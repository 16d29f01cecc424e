/** Version strings, and the bundle's `VERSION` file. */

import { InvalidBundleError } from "../cli/errors.ts";
import { decodeText, quote } from "./text.ts";

/** Characters of a version: it becomes part of file names, markers and log lines. */
export const MAX_VERSION_CHARS = 64;

/** Bytes of a `VERSION` file: a version and the white space that an editor may leave around it. */
export const MAX_VERSION_FILE_BYTES = 1024;

/**
 * Whether `text` is a plain version string such as `v0.7.160` or `0.7.160-rc.1+x`: 1 to
 * {@link MAX_VERSION_CHARS} characters of `A-Z a-z 0-9 . _ + -`, at least one digit, starting with
 * a letter or digit, without `..`. Anything else could not safely become part of a file name.
 */
export function isPlainVersion(text: string): boolean {
  return text.length <= MAX_VERSION_CHARS && /^[A-Za-z0-9][A-Za-z0-9._+-]*$/.test(text) &&
    /[0-9]/.test(text) && !text.includes("..");
}

/**
 * The version in a `VERSION` file; ASCII white space around it is ignored, as the shell tooling
 * ends the file with a newline.
 *
 * @throws {InvalidBundleError} Empty, too large, not UTF-8 or not a plain version string.
 */
export function parseVersionFile(bytes: Uint8Array | string): string {
  const text = decodeText(bytes, { name: "VERSION", maxBytes: MAX_VERSION_FILE_BYTES });
  const version = text.replace(/^[ \t\r\n]+|[ \t\r\n]+$/g, "");
  if (version === "") throw new InvalidBundleError("VERSION is empty");
  if (!isPlainVersion(version)) {
    throw new InvalidBundleError(`VERSION is not a plain version string (${quote(version)})`);
  }
  return version;
}

/**
 * Whether two versions are the same: exactly, letter by letter. A bundle that calls itself `v1.2.3`
 * with an agent that reports `1.2.3` is rolled back, so nothing here may be lenient.
 */
export function sameVersion(a: string, b: string): boolean {
  return a === b;
}
