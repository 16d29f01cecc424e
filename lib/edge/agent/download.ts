/** One verified download that survives broken connections and restarts of the agent. */

import { join } from "@std/path";
import { MAX_BUNDLE_BYTES } from "../../bundle/limits.ts";
import { describeError, InvalidBundleError, OngridError } from "../../cli/errors.ts";
import { ensureDirectory, removeDurable } from "../../fs/durable.ts";
import type { AgentEffects } from "./effects.ts";
import { type OpenedUrl, type OpenUrl, RedirectError } from "./http.ts";
import { DiskError, PartFile } from "./part_file.ts";

/** How patient a download is. */
export interface DownloadLimits {
  readonly maxBytes: number;
  /** A connection that brings nothing for so long is given up, in milliseconds. */
  readonly stallMs: number;
  /** Attempts in a row that bring not one byte before the download fails. */
  readonly fruitlessAttempts: number;
  /** Wait before the second attempt in milliseconds; doubles with each fruitless one. */
  readonly retryMs: number;
}

/** The limits of a real host. */
export const DOWNLOAD_LIMITS: DownloadLimits = {
  maxBytes: MAX_BUNDLE_BYTES,
  stallMs: 60_000,
  fruitlessAttempts: 5,
  retryMs: 1_000,
};

/**
 * Free space that must be there for each byte of a tarball: itself, and what it unpacks to (release
 * bundles grow to less than four times their size).
 */
const SPACE_FACTOR = 5;

/** Statuses that a proxy or a restarting manager answers for a while. */
const PASSING_STATUSES = [408, 429, 500, 502, 503, 504];

/** What to download, and where to. */
export interface DownloadOptions {
  readonly url: string;
  /** Lower-case hex. */
  readonly sha256: string;
  /** Holds `<sha256>.part`. */
  readonly directory: string;
  readonly openUrl: OpenUrl;
  readonly limits: DownloadLimits;
  readonly effects: Pick<AgentEffects, "sleep" | "random" | "freeBytes">;
  readonly signal: AbortSignal;
  readonly onProgress?: (done: number, total: number | undefined) => void;
}

/** A verified file. */
export interface Downloaded {
  readonly path: string;
  readonly bytes: number;
}

/** Returned when an attempt brought an answer that trying again will not change. */
class FinalError extends OngridError {
  override readonly name = "FinalError";
}

/**
 * Downloads to `<directory>/<sha256>.part`, hashing as the bytes come. A broken or stalled
 * connection is taken up again where it ended; what an earlier run left is used. A wrong sha256
 * after such a resumption starts over once, since the file may have changed in between.
 *
 * @throws {InvalidBundleError} `sha256 mismatch (got …, want …)`, `bundle too large (…)`; the file
 *   is removed then.
 * @throws {OngridError} `get: …` without an answer, `get: status N`, `stream: …` where the
 *   connection breaks for good, too little space; what has come so far stays for a later attempt.
 */
export async function download(options: DownloadOptions): Promise<Downloaded> {
  ensureDirectory(options.directory, { mode: 0o700 });
  const path = join(options.directory, `${options.sha256}.part`);
  using part = await PartFile.open(path);
  for (let round = 0;; round++) {
    const resumed = await fill(part, options);
    const got = part.digest();
    if (got === options.sha256) break;
    if (resumed && round === 0) {
      await part.restart();
      continue;
    }
    removeDurable(path);
    throw new InvalidBundleError(`sha256 mismatch (got ${got}, want ${options.sha256})`, {
      hint: "The file on the server is not the one that its checksum file describes.",
    });
  }
  await part.sync();
  return { path, bytes: part.size };
}

/** Brings the part up to the end of the file. Returns whether it is of more than one answer. */
async function fill(part: PartFile, options: DownloadOptions): Promise<boolean> {
  const { limits, effects, signal } = options;
  // A run that was killed right after the last byte has nothing left to fetch.
  if (part.size > 0 && part.digest() === options.sha256) return true;
  const state: Transfer = { resumed: part.size > 0, validator: undefined };
  for (let fruitless = 0;;) {
    const before = part.size;
    try {
      await attempt(part, options, state);
      return state.resumed;
    } catch (error) {
      if (signal.aborted) throw aborted(signal);
      if (isFinal(error)) throw error;
      fruitless = part.size > before ? 0 : fruitless + 1;
      if (fruitless >= limits.fruitlessAttempts) throw error;
    }
    await effects.sleep(limits.retryMs * 2 ** fruitless * (0.5 + effects.random() / 2), signal);
    if (signal.aborted) throw aborted(signal);
    state.resumed ||= part.size > 0;
  }
}

interface Transfer {
  resumed: boolean;
  validator: string | undefined;
}

async function attempt(part: PartFile, options: DownloadOptions, state: Transfer): Promise<void> {
  const { limits, signal } = options;
  const answer = await open(part, options, state);
  const giveUp = () => answer.close();
  signal.addEventListener("abort", giveUp, { once: true });
  try {
    if (await settled(part, answer)) return;
    if (answer.status === 200) state.validator = answer.validator;
    const total = totalOf(answer, part.size);
    checkSize(total ?? 0, limits);
    checkSpace(options, (total ?? part.size) - part.size, total ?? 0);
    for await (const chunk of unstalled(answer, limits.stallMs)) {
      checkSize(part.size + chunk.length, limits);
      await part.write(chunk);
      options.onProgress?.(part.size, total);
    }
    if (signal.aborted) throw aborted(signal);
    if (total !== undefined && part.size !== total) {
      throw new OngridError(`stream: connection ended after ${part.size} of ${total} bytes`);
    }
  } catch (error) {
    if (error instanceof InvalidBundleError) removeDurable(part.path);
    if (error instanceof OngridError) throw error;
    throw new OngridError(`stream: connection broke after ${part.size} bytes`, { cause: error });
  } finally {
    signal.removeEventListener("abort", giveUp);
    answer.close();
  }
}

/** Bytes of the whole file, as far as the answer says: a range may end before the file does. */
function totalOf(answer: OpenedUrl, before: number): number | undefined {
  const { length } = answer;
  const whole = answer.status === 206 ? answer.wholeLength : undefined;
  return whole ?? (length === undefined ? undefined : before + length);
}

async function open(
  part: PartFile,
  options: DownloadOptions,
  state: Transfer,
): Promise<OpenedUrl> {
  try {
    return await options.openUrl(options.url, {
      offset: part.size,
      validator: state.validator,
      signal: options.signal,
    });
  } catch (error) {
    throw new OngridError("get", { cause: error });
  }
}

/** Judges the status. True where the part already is the whole file; the part is made to fit. */
async function settled(part: PartFile, answer: OpenedUrl): Promise<boolean> {
  const { status } = answer;
  if (status === 206 && answer.rangeStart === part.size) return false;
  if (status === 200) {
    // Also the answer to a range of a file that has changed since.
    if (part.size > 0) await part.restart();
    return false;
  }
  // Nothing beyond what is here: its hash tells whether that is all of it.
  if (status === 416 && part.size > 0) return true;
  if (status === 206) {
    await part.restart();
    throw new OngridError("stream: the server sent another range than was asked for");
  }
  const text = `get: status ${status}`;
  throw PASSING_STATUSES.includes(status) ? new OngridError(text) : new FinalError(text);
}

function checkSize(bytes: number, limits: DownloadLimits): void {
  if (bytes <= limits.maxBytes) return;
  throw new InvalidBundleError(`bundle too large (${bytes} bytes, limit ${limits.maxBytes})`);
}

function checkSpace(options: DownloadOptions, missing: number, total: number): void {
  const needed = missing + total * (SPACE_FACTOR - 1);
  const free = options.effects.freeBytes(options.directory);
  if (free >= needed) return;
  const mib = (bytes: number) => Math.ceil(bytes / (1024 * 1024));
  throw new FinalError(
    `not enough space in ${options.directory}: about ${mib(needed)} MiB needed, ${mib(free)} free`,
    { hint: "Free some space there, then push again." },
  );
}

/** The chunks of an answer; throws where none comes for a while. */
async function* unstalled(answer: OpenedUrl, stallMs: number): AsyncGenerator<Uint8Array> {
  let stalled = false;
  const arm = () =>
    setTimeout(() => {
      stalled = true;
      answer.close();
    }, stallMs);
  let timer = arm();
  try {
    for await (const chunk of answer.body) {
      clearTimeout(timer);
      yield chunk;
      timer = arm();
    }
  } catch (error) {
    if (!stalled) throw error;
  } finally {
    clearTimeout(timer);
  }
  if (stalled) throw new OngridError(`stream: nothing came for ${stallMs / 1000} s`);
}

function isFinal(error: unknown): boolean {
  return [FinalError, InvalidBundleError, DiskError].some((kind) => error instanceof kind) ||
    error instanceof OngridError && error.cause instanceof RedirectError;
}

function aborted(signal: AbortSignal): OngridError {
  const reason = signal.reason;
  return reason instanceof OngridError
    ? reason
    : new OngridError(`stream: ${describeError(reason).message}`);
}
