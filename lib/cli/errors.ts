/** What an error of this project can carry beside its message. */
export interface OngridErrorOptions {
  /** What the reader can do about it, one sentence or a few lines. */
  hint?: string | undefined;
  /** The error below this one; its text is appended by {@linkcode describeError}. */
  cause?: unknown;
  /** The exit code of a program that ends with this error. */
  exitCode?: number | undefined;
}

/**
 * The base of all errors that are meant to be read by a person: the message says what was being
 * done and on what, the cause says why it failed, the hint says what to do next. Exit code 1.
 */
export class OngridError extends Error {
  override readonly name: string = "OngridError";
  /** What the reader can do about it. */
  readonly hint: string | undefined;
  /** The exit code of a program that ends with this error. */
  readonly exitCode: number;

  constructor(message: string, options: OngridErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.hint = options.hint;
    this.exitCode = options.exitCode ?? 1;
  }
}

/** Returned when the command line or an environment variable cannot be understood. Exit code 2. */
export class UsageError extends OngridError {
  override readonly name: string = "UsageError";

  constructor(message: string, options: OngridErrorOptions = {}) {
    super(message, { exitCode: 2, ...options });
  }
}

/** Returned when a preflight check refuses to begin: nothing has been changed. Exit code 3. */
export class RefusedError extends OngridError {
  override readonly name: string = "RefusedError";

  constructor(message: string, options: OngridErrorOptions = {}) {
    super(message, { exitCode: 3, ...options });
  }
}

/**
 * Returned when a bundle, its manifest or its checksum is rejected. The message is the reason as
 * it is stored and reported, so it stands on its own.
 */
export class InvalidBundleError extends OngridError {
  override readonly name: string = "InvalidBundleError";
}

/**
 * Returned when a file in a directory that others can write is not a regular file of bounded
 * size: a symbolic link, a FIFO, a device, too large, replaced while it was being opened, or not
 * readable at all.
 */
export class ForeignFileError extends OngridError {
  override readonly name: string = "ForeignFileError";
}

/** Why talking to the peer of a tunnel ended, see {@linkcode ProtocolError}. */
export type ProtocolErrorKind = "protocol" | "closed" | "timeout" | "refused";

/** What a {@linkcode ProtocolError} carries beside its message. */
export interface ProtocolErrorOptions extends OngridErrorOptions {
  kind: ProtocolErrorKind;
}

/**
 * Returned when the peer of a tunnel broke the protocol (`protocol`), the connection was lost
 * (`closed`), no answer came in time (`timeout`) or the peer turned the connection down
 * (`refused`).
 */
export class ProtocolError extends OngridError {
  override readonly name: string = "ProtocolError";
  /** Which of the four it was, for code that retries. */
  readonly kind: ProtocolErrorKind;

  constructor(message: string, options: ProtocolErrorOptions) {
    super(message, options);
    this.kind = options.kind;
  }
}

/** Returned when the far end answered a call with an error; the message is its text, verbatim. */
export class RemoteError extends OngridError {
  override readonly name: string = "RemoteError";
}

/** An error as a program prints it, see {@linkcode describeError}. */
export interface ErrorDescription {
  /** The message and those of its causes, joined by `": "`. */
  message: string;
  /** The first hint found on the way down the causes. */
  hint?: string;
  /** The exit code the outermost error asks for; 1 when it does not say. */
  exitCode: number;
}

/** A chain of causes is followed this far: a circular one would never end. */
const MAX_CAUSES = 8;

const SYSTEM_HINTS: Record<string, string> = {
  EACCES: "Run it as root, or check the owner and the mode of the path.",
  EPERM: "Run it as root, or check the owner and the attributes of the path.",
  EADDRINUSE: "Another program listens on that address: stop it, or choose another port.",
  EDQUOT: "The quota of this account is used up: free some space, then run it again.",
  EMFILE: "Too many files are open: raise the limit (ulimit -n), then run it again.",
  ENOSPC: "Free some space on that filesystem (df -h, df -i), then run it again.",
  EROFS: "The filesystem is mounted read-only: remount it, or look for disk errors in dmesg.",
};

/**
 * Turns anything that was thrown into the text a person reads: the chain of causes as
 * `"what was done: why it failed"` without repetitions, operating system errors in plain words.
 *
 * @example
 * ```ts
 * describeError(new OngridError("Cannot write /etc/x", { cause: new Error("disk on fire") }));
 * // { message: "Cannot write /etc/x: disk on fire", exitCode: 1 }
 * ```
 */
export function describeError(e: unknown): ErrorDescription {
  const parts: string[] = [];
  let hint: string | undefined;
  let current: unknown = e;
  for (let depth = 0; depth < MAX_CAUSES && current !== undefined && current !== null; depth++) {
    const text = ownText(current);
    if (text !== "" && !parts.some((part) => part.includes(text))) parts.push(text);
    hint ??= ownHint(current);
    current = nextCause(current);
  }
  const message = parts.length > 0 ? parts.join(": ") : "unknown error";
  const exitCode = e instanceof OngridError ? e.exitCode : 1;
  return hint === undefined ? { message, exitCode } : { message, hint, exitCode };
}

/**
 * The POSIX name (`"ENOSPC"`, `"EXDEV"`, …) of the operating system error that an error is or was
 * caused by; `undefined` when there is none.
 */
export function systemCode(e: unknown): string | undefined {
  let current: unknown = e;
  for (let depth = 0; depth < MAX_CAUSES && current instanceof Error; depth++) {
    const code = "code" in current ? current.code : undefined;
    if (typeof code === "string" && /^E[A-Z0-9]+$/.test(code)) return code;
    current = nextCause(current);
  }
  return undefined;
}

function nextCause(e: unknown): unknown {
  if (e instanceof AggregateError && e.cause === undefined) return e.errors[0];
  return e instanceof Error ? e.cause : undefined;
}

function ownHint(e: unknown): string | undefined {
  if (e instanceof OngridError) return e.hint;
  const code = e instanceof Error && "code" in e ? e.code : undefined;
  return typeof code === "string" ? SYSTEM_HINTS[code] : undefined;
}

function ownText(e: unknown): string {
  if (!(e instanceof Error)) return typeof e === "string" ? e : String(e);
  if (e instanceof OngridError) return e.message;
  const text = plainSystemText(e.message);
  return text === "" ? e.name : text;
}

/** `"No such file (os error 2): open '/x'"` and `"ENOENT: no such file, open '/x'"` in plain words. */
function plainSystemText(message: string): string {
  const deno = /^(.+?) \(os error \d+\)(?:: (.+))?$/s.exec(message);
  if (deno !== null) {
    const [, what = "", where] = deno;
    return where === undefined ? lowerFirst(what) : `${where}: ${lowerFirst(what)}`;
  }
  const node = /^E[A-Z0-9]+: (.+?)(?:, (.+))?$/s.exec(message);
  if (node !== null) {
    const [, what = "", where] = node;
    return where === undefined ? what : `${where}: ${what}`;
  }
  return message;
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}
