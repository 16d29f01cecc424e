import { createOutput, type Output, type OutputOptions } from "../../lib/cli/output.ts";

/** An output whose streams are kept as text, with a clock that stands until it is moved. */
export interface Recorder {
  readonly output: Output;
  stdout: string;
  stderr: string;
  /** Milliseconds. */
  now: number;
  /** What a terminal would show of stderr, line by line, without trailing empty ones. */
  shown(): string[];
}

/** Makes one; everything that is not given is a pipe in an empty environment. */
export function recorder(
  options: Pick<OutputOptions, "json" | "isTerminal"> & {
    env?: Record<string, string>;
    columns?: number;
    rows?: number;
  } = {},
): Recorder {
  const { json = false, isTerminal = false, env = {}, columns = 80, rows = 24 } = options;
  const kept: Recorder = {
    output: createOutput({
      json,
      isTerminal,
      env: (name) => env[name],
      write: (text) => kept.stdout += text,
      writeError: (text) => kept.stderr += text,
      size: () => ({ columns, rows }),
      date: () => new Date(Date.UTC(2024, 0, 2, 3, 4, 5)),
      now: () => kept.now,
    }),
    stdout: "",
    stderr: "",
    now: 0,
    shown: () => replay(kept.stderr),
  };
  return kept;
}

/** The little of a terminal that is used here: newline, cursor up, clear to the end, colours. */
function replay(text: string): string[] {
  const lines: string[] = [""];
  let row = 0;
  // deno-lint-ignore no-control-regex -- escape sequences are what this reads
  for (const [token, count, kind] of text.matchAll(/\x1b\[(\d*)([A-Za-z])|\n|[^\x1b\n]+/g)) {
    if (token === "\n") {
      row += 1;
      lines[row] ??= "";
    } else if (kind === "A") {
      row -= Number(count || "1");
      if (row < 0) throw new Error("the cursor left the screen");
    } else if (kind === "J") {
      lines.length = row;
      lines.push("");
    } else if (kind === undefined) {
      lines[row] = (lines[row] ?? "") + token;
    } else if (kind !== "m") {
      throw new Error(`unexpected escape sequence ${JSON.stringify(token)}`);
    }
  }
  while (lines.at(-1) === "") lines.pop();
  return lines;
}
