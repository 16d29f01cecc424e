/** Foreign text made safe to show, and bytes made text without guessing. */

import { InvalidBundleError } from "../cli/errors.ts";

/** Characters of a quoted value that reach an error message; the rest is cut. */
export const MAX_QUOTED_CHARS = 80;

/**
 * A value from a bundle as it may appear in a log line: in double quotes, only printable ASCII,
 * everything else as `\u` escapes, cut after {@link MAX_QUOTED_CHARS} characters. Without it a
 * manifest could forge log lines or move the cursor of whoever reads them.
 */
export function quote(value: string): string {
  const cut = value.length > MAX_QUOTED_CHARS ? value.slice(0, MAX_QUOTED_CHARS) + "..." : value;
  const escaped = JSON.stringify(cut).replace(
    /[^\x20-\x7e]/g,
    (c) => "\\u" + c.charCodeAt(0).toString(16).padStart(4, "0"),
  );
  return escaped;
}

/**
 * The UTF-8 text of a small file of a bundle. A byte order mark is kept, so that it is refused
 * later like any other invisible character.
 *
 * @param name The file's name, for the message.
 * @param maxBytes Upper bound in bytes.
 * @throws {InvalidBundleError} Larger than `maxBytes`, or not UTF-8.
 */
export function decodeText(
  input: Uint8Array | string,
  { name, maxBytes }: { name: string; maxBytes: number },
): string {
  if (input.length > maxBytes) {
    throw new InvalidBundleError(`${name} is larger than ${maxBytes} bytes`);
  }
  if (typeof input === "string") {
    if (!input.isWellFormed()) throw new InvalidBundleError(`${name} is not valid UTF-8`);
    return input;
  }
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(input);
  } catch (cause) {
    throw new InvalidBundleError(`${name} is not valid UTF-8`, { cause });
  }
}
