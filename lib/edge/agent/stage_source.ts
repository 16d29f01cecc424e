/** What `ongrid-edge stage` is given: a file, a URL or standard input, and its checksum. */

import { MAX_SIDECAR_BYTES, parseSidecar, readSidecar, sidecarPath } from "../../bundle/sidecar.ts";
import { OngridError, UsageError } from "../../cli/errors.ts";
import type { OpenUrl } from "./http.ts";
import { checkSha256, checkUrl } from "./requests.ts";

/** A bundle to be staged by hand. */
export type StageSource =
  | { readonly kind: "url"; readonly url: string; readonly sha256: string }
  | {
    readonly kind: "stream";
    readonly stream: ReadableStream<Uint8Array>;
    /** Bytes, where known. */
    readonly size: number | undefined;
    readonly sha256: string;
  };

/** Time to fetch a checksum file in milliseconds. */
const SIDECAR_TIMEOUT_MS = 60_000;

/**
 * Opens what was named on the command line, a file before anything else happens.
 *
 * @param sha256 as given; without it, `<source>.sha256` is read.
 * @param openTrusted fetches the checksum file of a URL. It must check certificates: nothing else
 *   vouches for what it brings.
 * @throws {UsageError} for a source or sha256 that is none, and for standard input without one.
 * @throws {OngridError} where the source or its checksum cannot be read.
 */
export async function openStageSource(
  source: string,
  sha256: string | undefined,
  openTrusted: OpenUrl,
): Promise<StageSource> {
  const given = sha256 === undefined ? undefined : parseDigest(sha256, "--sha256");
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(source)) {
    const url = parseUrl(source);
    return { kind: "url", url, sha256: given ?? await fetchSidecar(url, openTrusted) };
  }
  if (source === "-") {
    if (given !== undefined) return stream(Deno.stdin.readable, undefined, given);
    throw new UsageError("standard input has no checksum file", { hint: "Give --sha256 HEX." });
  }
  const file = await openFile(source);
  try {
    const { size } = await file.stat();
    return stream(file.readable, size, given ?? sidecarOf(source));
  } catch (error) {
    file.close();
    throw error;
  }
}

async function openFile(path: string): Promise<Deno.FsFile> {
  try {
    // Before it is opened: a FIFO would be waited for.
    if ((await Deno.stat(path)).isFile) return await Deno.open(path);
  } catch (error) {
    const hint = error instanceof Deno.errors.NotFound
      ? { hint: "Check the path of the bundle: edge-bundle-<arch>-<version>.tar.gz." }
      : {};
    throw new OngridError(`cannot open "${path}"`, { cause: error, ...hint });
  }
  throw new OngridError(`"${path}" is not a regular file`, {
    hint: "To stage from a pipe, give - as the source, and --sha256 HEX.",
  });
}

function parseUrl(source: string): string {
  try {
    return checkUrl(source, source);
  } catch {
    throw new UsageError(`cannot stage from ${source}: it is not an http(s) URL`, {
      hint: "Give a file, an http:// or https:// URL, or - for standard input.",
    });
  }
}

function stream(
  readable: ReadableStream<Uint8Array>,
  size: number | undefined,
  sha256: string,
): StageSource {
  return { kind: "stream", stream: readable, size, sha256 };
}

function sidecarOf(path: string): string {
  const sha256 = readSidecar(path);
  if (sha256 !== undefined) return sha256;
  throw new OngridError(`there is no checksum file ${sidecarPath(path)}`, {
    hint: "Copy it beside the bundle, or give --sha256 HEX.",
  });
}

async function fetchSidecar(url: string, openTrusted: OpenUrl): Promise<string> {
  const path = sidecarPath(url);
  const signal = AbortSignal.timeout(SIDECAR_TIMEOUT_MS);
  try {
    const answer = await openTrusted(path, { offset: 0, signal });
    try {
      if (answer.status !== 200) throw new OngridError(`status ${answer.status}`);
      return parseSidecar(await readSmall(answer.body, path));
    } finally {
      answer.close();
    }
  } catch (error) {
    throw new OngridError(`cannot fetch the checksum file ${path}`, {
      cause: error,
      hint: "Publish it beside the bundle, or give --sha256 HEX.",
    });
  }
}

async function readSmall(chunks: AsyncIterable<Uint8Array>, path: string): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const chunk of chunks) {
    text += decoder.decode(chunk, { stream: true });
    if (text.length > MAX_SIDECAR_BYTES) throw new OngridError(`${path} is too large`);
  }
  return text;
}

function parseDigest(text: string, what: string): string {
  try {
    return checkSha256(text, what);
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}
