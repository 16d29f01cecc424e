import { OngridError } from "../../cli/errors.ts";
import { ApiError } from "../api_error.ts";
import { entityTag, type FileVersion, isKnown, requestedRange } from "./byte_range.ts";
import type { Call } from "./request.ts";
import { failure } from "./respond.ts";

/** What a file may be called: no separators, no leading dot, nothing to be decoded. */
const PLAIN_NAME = /^[A-Za-z0-9][A-Za-z0-9._+-]{0,254}$/;

/** Bytes read and sent at a time; edges on slow links hold as much memory each. */
const CHUNK_BYTES = 64 * 1024;

/**
 * Serves the files of one directory: regular files with plain names, nothing below, no listing.
 * Anybody may read them, as their checksums are what an edge trusts. Understands `HEAD`, `Range`
 * and `If-Range`, with which a broken download is resumed.
 */
export function serveEdgeFile(directory: string): (call: Call) => Promise<Response> {
  return async ({ request, params }) => {
    const name = params.file ?? "";
    const opened = PLAIN_NAME.test(name) ? await openRegular(`${directory}/${name}`) : undefined;
    if (opened === undefined) return failure(new ApiError("not-found", "no such file"));
    const { file, version } = opened;
    const { headers, status, start, length } = describe(request, name, version);
    if (request.method === "HEAD" || length === undefined) {
      file.close();
      return new Response(null, { status, headers });
    }
    try {
      await file.seek(start, Deno.SeekMode.Start);
    } catch (e) {
      file.close();
      throw e;
    }
    return new Response(readPart(file, length), { status, headers });
  };
}

interface Answer {
  status: number;
  headers: Headers;
  start: number;
  /** Undefined: no body. */
  length: number | undefined;
}

function describe(request: Request, name: string, version: FileVersion): Answer {
  const tag = entityTag(version);
  const headers = new Headers({
    "accept-ranges": "bytes",
    "etag": tag,
    "last-modified": new Date(version.modifiedAt).toUTCString(),
    "x-content-type-options": "nosniff",
  });
  if (isKnown(request.headers, tag)) return { status: 304, headers, start: 0, length: undefined };
  headers.set("content-type", contentType(name));
  const range = requestedRange(request.headers, version);
  switch (range.kind) {
    case "whole":
      headers.set("content-length", String(version.size));
      return { status: 200, headers, start: 0, length: version.size };
    case "part": {
      const length = range.end - range.start + 1;
      headers.set("content-length", String(length));
      headers.set("content-range", `bytes ${range.start}-${range.end}/${version.size}`);
      return { status: 206, headers, start: range.start, length };
    }
    case "unsatisfiable":
      headers.set("content-range", `bytes */${version.size}`);
      return { status: 416, headers, start: 0, length: undefined };
  }
}

/** Opens a regular file without following a link in its last part; undefined when it is none. */
async function openRegular(
  path: string,
): Promise<{ file: Deno.FsFile; version: FileVersion } | undefined> {
  try {
    const before = await Deno.lstat(path);
    if (!before.isFile) return undefined;
    const file = await Deno.open(path);
    const stat = await file.stat();
    if (!stat.isFile || stat.ino !== before.ino || stat.dev !== before.dev) {
      file.close();
      return undefined;
    }
    return { file, version: { size: stat.size, modifiedAt: stat.mtime?.getTime() ?? 0 } };
  } catch (e) {
    if (e instanceof Deno.errors.NotFound || e instanceof Deno.errors.PermissionDenied) {
      return undefined;
    }
    throw e;
  }
}

/**
 * The next `length` bytes of `file`, which is closed at the end. A file that ends early breaks the
 * response off: the client sees too few bytes instead of taking half a file for a whole one.
 */
function readPart(file: Deno.FsFile, length: number): ReadableStream<Uint8Array<ArrayBuffer>> {
  let left = length;
  let isOpen = true;
  const close = () => {
    if (isOpen) file.close();
    isOpen = false;
  };
  return new ReadableStream({
    async pull(controller) {
      try {
        const chunk = new Uint8Array(Math.min(left, CHUNK_BYTES));
        const read = left === 0 ? 0 : await file.read(chunk) ?? 0;
        if (read > 0) controller.enqueue(chunk.subarray(0, read));
        left -= read;
        if (read > 0 && left > 0) return;
        close();
        if (left === 0) controller.close();
        else controller.error(new OngridError("the file was cut short while it was being sent"));
      } catch (e) {
        // Also a read that the client's going away interrupted, which then concerns nobody.
        close();
        controller.error(e);
      }
    },
    cancel: close,
  }, { highWaterMark: 0 });
}

function contentType(name: string): string {
  if (name.endsWith(".sha256")) return "text/plain; charset=utf-8";
  return name.endsWith(".gz") ? "application/gzip" : "application/octet-stream";
}
