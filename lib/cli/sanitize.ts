/**
 * Control characters but tab and newline, and the marks that reorder text. A message may quote what
 * a stranger wrote, and a terminal obeys escape sequences wherever they come from.
 */
// deno-lint-ignore no-control-regex -- control characters are what this is about
const UNSAFE = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]/g;

/** The text without anything that a terminal, or a reader of a log, could be misled by. */
export function sanitize(text: string): string {
  return text.replace(UNSAFE, "");
}

/** Like {@linkcode sanitize}, on one line: for names and table cells. */
export function sanitizeLine(text: string): string {
  return sanitize(text.replace(/[\n\t]+/g, " "));
}
