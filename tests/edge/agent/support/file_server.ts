/** An HTTP server that can break in all the ways a test wants, byte by byte. */

import type { TestBundle } from "./bundle.ts";

/** One request as the server saw it. */
export interface SeenRequest {
  path: string;
  headers: Headers;
  /** First byte asked for. */
  offset: number;
}

/** What the server does with a request. */
export interface Answer {
  status?: number;
  /** Undefined takes a header away. */
  headers?: Record<string, string | undefined>;
  body?: Uint8Array;
  /** Writes so many bytes of the body, then cuts the connection. */
  cutAfter?: number;
  /** Writes so many bytes of the body, then waits until the promise resolves. */
  holdAfter?: number;
  until?: Promise<void>;
  /** Told how many bytes of the body the kernel has taken. */
  onWrite?: (done: number) => void;
}

/** A running server. */
export interface FileServer extends AsyncDisposable {
  readonly url: string;
  readonly seen: SeenRequest[];
}

/** Starts a server on a free port of the loopback interface. */
export function serveFiles(
  handle: (request: SeenRequest, number: number) => Answer,
  tls?: { cert: string; key: string },
): FileServer {
  const at = { hostname: "127.0.0.1", port: 0 } as const;
  const listener = tls ? Deno.listenTls({ ...at, ...tls }) : Deno.listen(at);
  const seen: SeenRequest[] = [];
  const open = new Set<Deno.Conn>();
  const work: Promise<void>[] = [];
  const serve = async (connection: Deno.Conn) => {
    open.add(connection);
    try {
      const request = await readRequest(connection);
      seen.push(request);
      await write(connection, handle(request, seen.length));
    } catch {
      // The client went away: some tests are about just that.
    } finally {
      open.delete(connection);
      try {
        connection.close();
      } catch {
        // Closed by the end of the test.
      }
    }
  };
  const accept = async () => {
    for await (const connection of listener) work.push(serve(connection));
  };
  const accepting = accept().catch(() => {});
  const { port } = listener.addr as Deno.NetAddr;
  return {
    url: `${tls ? "https" : "http"}://127.0.0.1:${port}`,
    seen,
    async [Symbol.asyncDispose]() {
      listener.close();
      for (const connection of open) connection.close();
      await accepting;
      await Promise.all(work);
    },
  };
}

/** Answers with a file, and with the rest of it where a range is asked for. */
export function fileAnswer(request: SeenRequest, bytes: Uint8Array): Answer {
  if (request.offset === 0) return { body: bytes };
  if (request.offset >= bytes.length) return { status: 416 };
  return {
    status: 206,
    headers: {
      "content-range": `bytes ${request.offset}-${bytes.length - 1}/${bytes.length}`,
    },
    body: bytes.subarray(request.offset),
  };
}

/** A server with one bundle under `/bundle.tar.gz`. */
export function serveBundle(bundle: TestBundle): FileServer & { bundleUrl: string } {
  const server = serveFiles((request) =>
    request.path === "/bundle.tar.gz" ? fileAnswer(request, bundle.bytes) : { status: 404 }
  );
  return Object.assign(server, { bundleUrl: `${server.url}/bundle.tar.gz` });
}

async function readRequest(connection: Deno.Conn): Promise<SeenRequest> {
  const buffer = new Uint8Array(4096);
  let text = "";
  while (!text.includes("\r\n\r\n")) {
    const count = await connection.read(buffer);
    if (count === null) throw new Error("no request");
    text += new TextDecoder().decode(buffer.subarray(0, count));
  }
  const [first = "", ...lines] = text.slice(0, text.indexOf("\r\n\r\n")).split("\r\n");
  const headers = new Headers(lines.map((line): [string, string] => {
    const colon = line.indexOf(":");
    return [line.slice(0, colon), line.slice(colon + 1).trim()];
  }));
  const range = /^bytes=([0-9]+)-$/.exec(headers.get("range") ?? "");
  return { path: first.split(" ")[1] ?? "", headers, offset: Number(range?.[1] ?? 0) };
}

async function write(connection: Deno.Conn, answer: Answer): Promise<void> {
  const body = answer.body ?? new Uint8Array();
  const headers = { "content-length": String(body.length), connection: "close", ...answer.headers };
  const head = Object.entries(headers).filter(([, value]) => value !== undefined)
    .map(([name, value]) => `${name}: ${value}\r\n`).join("");
  await writeAll(
    connection,
    new TextEncoder().encode(`HTTP/1.1 ${answer.status ?? 200} Told\r\n${head}\r\n`),
  );
  const pause = answer.cutAfter ?? answer.holdAfter ?? body.length;
  await writeAll(connection, body.subarray(0, pause), answer.onWrite);
  if (answer.cutAfter !== undefined) return;
  await answer.until;
  await writeAll(connection, body.subarray(pause));
}

async function writeAll(
  connection: Deno.Conn,
  bytes: Uint8Array,
  onWrite?: (done: number) => void,
): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    done += await connection.write(bytes.subarray(done, done + 64 * 1024));
    onWrite?.(done);
  }
}
