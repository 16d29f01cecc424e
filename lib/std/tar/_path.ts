/** The longest path that is written without a prefix, in bytes. */
const MAX_NAME = 100;

/** The longest prefix, in bytes. */
const MAX_PREFIX = 155;

/** The longest path, in bytes: both and the slash between them. */
const MAX_PATH = 256;

const SLASH = "/".charCodeAt(0);

/** A path as the two fields of a header: the longest name that fits, and what is before it. */
export function splitPath(path: string): { prefix: Uint8Array; name: Uint8Array } {
  const bytes = new TextEncoder().encode(path);
  const size = bytes.length;
  if (size <= MAX_NAME) return { prefix: new Uint8Array(), name: bytes };
  if (size > MAX_PATH) {
    throw new RangeError(
      "Cannot parse the path as the path length cannot exceed 256 bytes: " +
        `The path length is ${size}`,
    );
  }
  const last = Math.max(0, bytes.lastIndexOf(SLASH));
  if (size - last > MAX_NAME) {
    throw new RangeError(
      "Cannot parse the path as the file cannot exceed 100 bytes: " +
        `The filename length is ${size - last}`,
    );
  }
  const slash = bytes.indexOf(SLASH, size - MAX_NAME);
  if (slash > MAX_PREFIX) {
    throw new TypeError(
      "Cannot parse the path as the path needs to be split-able on a forward slash separator " +
        "into [155, 100] bytes respectively",
    );
  }
  return { prefix: bytes.subarray(0, slash), name: bytes.subarray(slash + 1) };
}
