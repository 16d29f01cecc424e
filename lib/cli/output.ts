import { createProgress, type Progress, type ProgressUnit } from "./progress.ts";
import { readOptionalEnv } from "./read_env.ts";
import { sanitize, sanitizeLine } from "./sanitize.ts";
import { Screen, type ScreenSize } from "./screen.ts";
import { streamWriter, type Write } from "./stream_writer.ts";

export type { Progress } from "./progress.ts";

/**
 * Where a program says something: results and machine output on stdout, everything for people on
 * stderr. Control characters in messages are removed, since messages quote what strangers wrote.
 */
export interface Output {
  /** Tells how the work goes. */
  info(message: string): void;
  /** Tells of something that does not stop the work but wants to be looked at. */
  warn(message: string): void;
  /** Tells of a failure. What ends the program is thrown instead, see `runMain`. */
  error(message: string): void;
  /** One JSON line `{"ts","event",…fields}` on stdout with `--json`, else nothing. */
  event(name: string, fields?: Record<string, unknown>): void;
  /**
   * The result, on stdout: text as it is, other values as indented JSON; with `--json` one line, the
   * event `result` with the value's fields (a text as `text`, a list as `items`).
   */
  result(value: unknown): void;
  /** Shows work under way until its `finish()`; bytes are counted unless `unit` says otherwise. */
  progress(label: string, total?: number, unit?: ProgressUnit): Progress;
  /** The terminal below it, for what redraws itself; absent where there can be none. */
  readonly screen?: Screen;
}

/** What {@linkcode createOutput} can be told; the defaults are the process's own streams. */
export interface OutputOptions {
  /** `--json` was given. */
  json?: boolean;
  env?: (name: string) => string | undefined;
  /** Whether stderr is a terminal. */
  isTerminal?: boolean;
  /** Writes to stdout. */
  write?: Write;
  /** Writes to stderr. */
  writeError?: Write;
  size?: () => ScreenSize;
  /** The clock on the wall, for `ts`. */
  date?: () => Date;
  /** Milliseconds on a clock that never goes back, for rates. */
  now?: () => number;
}

interface Level {
  readonly name: string;
  /** The priority systemd's journal knows it by, see sd-daemon(3). */
  readonly priority: number;
  readonly color: number;
}

const INFO: Level = { name: "INFO", priority: 6, color: 32 };
const WARN: Level = { name: "WARN", priority: 4, color: 33 };
const ERROR: Level = { name: "ERROR", priority: 3, color: 31 };

/** Taken where the terminal does not tell its size. */
const DEFAULT_SIZE: ScreenSize = { columns: 80, rows: 24 };

/**
 * The one owner of stdout and stderr. Lines for people begin with `[INFO]`, `[WARN]` or `[ERROR]`,
 * under systemd with the journal's priority before that. Colour and cursor movement only on a real
 * terminal and without `NO_COLOR`.
 *
 * @example
 * ```ts
 * const output = createOutput({ json: parsed.options.json });
 * output.info("step 1/10: preflight");
 * output.event("step", { step: 1, name: "preflight" });
 * ```
 */
export function createOutput(options: OutputOptions = {}): Output {
  return new StreamOutput(options);
}

/** How lines on stderr are marked, which depends on who reads them. */
export interface LineStyle {
  /** Reads escape sequences: a terminal that is not dumb, and `NO_COLOR` is not set. */
  readonly live: boolean;
  /** Reads `<N>` priorities: systemd's journal. */
  readonly journal: boolean;
}

/** Finds the style for stderr from the environment, as no-color.org and sd-daemon(3) have it. */
export function lineStyle(options: Pick<OutputOptions, "env" | "isTerminal">): LineStyle {
  const env = options.env ?? readOptionalEnv;
  const terminal = options.isTerminal ?? Deno.stderr.isTerminal();
  const journal = env("ONGRID_LOG_PREFIX") === "journal" ||
    ((env("JOURNAL_STREAM") ?? "") !== "" && !terminal);
  const live = terminal && !journal && (env("NO_COLOR") ?? "") === "" && env("TERM") !== "dumb";
  return { live, journal };
}

class StreamOutput implements Output {
  readonly screen: Screen;
  readonly #json: boolean;
  readonly #style: LineStyle;
  readonly #write: Write;
  readonly #date: () => Date;
  readonly #now: () => number;

  constructor(options: OutputOptions) {
    this.#json = options.json ?? false;
    this.#style = lineStyle(options);
    this.#write = options.write ?? streamWriter(Deno.stdout);
    this.#date = options.date ?? (() => new Date());
    this.#now = options.now ?? (() => performance.now());
    this.screen = new Screen({
      write: options.writeError ?? streamWriter(Deno.stderr),
      live: this.#style.live,
      size: options.size ?? terminalSize,
    });
  }

  info(message: string): void {
    this.#line(INFO, message);
  }

  warn(message: string): void {
    this.#line(WARN, message);
  }

  error(message: string): void {
    this.#line(ERROR, message);
  }

  event(name: string, fields: Record<string, unknown> = {}): void {
    if (!this.#json) return;
    const { ts: _ts, event: _event, ...rest } = fields;
    const line = { ts: this.#date().toISOString(), event: name, ...rest };
    this.#out(JSON.stringify(line, replaceUnprintable));
  }

  result(value: unknown): void {
    if (this.#json) this.event("result", resultFields(value));
    else if (typeof value === "string") this.#out(sanitize(value).replace(/\n$/, ""));
    else this.#out(JSON.stringify(value, replaceUnprintable, 2) ?? "null");
  }

  progress(label: string, total?: number, unit: ProgressUnit = "bytes"): Progress {
    return createProgress({
      label: sanitizeLine(label),
      total,
      unit,
      screen: this.screen,
      info: (message) => this.info(message),
      event: (fields) => this.event("progress", fields),
      now: this.#now,
    });
  }

  #out(line: string): void {
    this.screen.interrupt(() => this.#write(`${line}\n`));
  }

  #line(level: Level, message: string): void {
    const { live, journal } = this.#style;
    const name = live ? `\x1b[${level.color}m[${level.name}]\x1b[0m` : `[${level.name}]`;
    const prefix = journal ? `<${level.priority}>${name}` : name;
    // Each line has its own prefix: a message with newlines cannot pass for several.
    const lines = sanitize(message).replace(/\n+$/, "").split("\n");
    this.screen.print(lines.map((line) => `${prefix} ${line}\n`).join(""));
  }
}

function resultFields(value: unknown): Record<string, unknown> {
  if (typeof value === "string") return { text: value };
  if (Array.isArray(value)) return { items: value };
  return typeof value === "object" && value !== null ? { ...value } : { value };
}

/** JSON has no big integers, and would print an error as `{}`. */
function replaceUnprintable(_key: string, value: unknown): unknown {
  if (typeof value === "bigint") return value.toString();
  return value instanceof Error ? value.message : value;
}

function terminalSize(): ScreenSize {
  try {
    const { columns, rows } = Deno.consoleSize();
    // Serial consoles and some pseudo-terminals say 0.
    return { columns: columns || DEFAULT_SIZE.columns, rows: rows || DEFAULT_SIZE.rows };
  } catch (e) {
    // Deno has no class for "this is no terminal".
    if (e instanceof Error) return DEFAULT_SIZE;
    throw e;
  }
}
