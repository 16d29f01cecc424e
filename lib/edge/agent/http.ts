/** Plain HTTP and HTTPS downloads from an offset, without a word about what is downloaded. */

import http from "node:http";
import https from "node:https";
import { OngridError } from "../../cli/errors.ts";
import { connectPacedTls, type Consumption, type PacedTlsOptions } from "./paced_tls.ts";

/** Where a download begins, and how it can be given up. */
export interface OpenOptions {
  /** First byte wanted; above 0 a `Range` is asked for. */
  readonly offset: number;
  /** Validator of an earlier answer: the rest is wanted only of the same file. */
  readonly validator?: string | undefined;
  readonly signal: AbortSignal;
}

/** An answer whose body has not been read. */
export interface OpenedUrl {
  readonly status: number;
  /** Bytes that this answer will bring; undefined where the server does not say. */
  readonly length: number | undefined;
  /** From `Content-Range` of a 206: where the body begins. */
  readonly rangeStart: number | undefined;
  /** From `Content-Range` too: bytes of the whole file, which may be more than a 206 reaches. */
  readonly wholeLength: number | undefined;
  /** A strong `ETag` or a `Last-Modified`, for {@linkcode OpenOptions.validator}. */
  readonly validator: string | undefined;
  readonly body: AsyncIterable<Uint8Array>;
  /** Ends the connection, read to the end or not. */
  close(): void;
}

/** Thrown for a redirect that leads nowhere: asking again would lead there again. */
export class RedirectError extends OngridError {
  override readonly name = "RedirectError";
}

/** Opens a URL. Rejects where no answer can be had. */
export type OpenUrl = (url: string, options: OpenOptions) => Promise<OpenedUrl>;

/** Redirects that are followed; more is a loop. */
const MAX_REDIRECTS = 5;

/** How long a server may take from the request to the first byte of its answer. */
const ANSWER_TIMEOUT_MS = 30_000;

const HTTPS_PORT = 443;

/** How far a server's certificate is trusted. */
type Trust = Pick<PacedTlsOptions, "rejectUnauthorized" | "ca">;

/** Whom an opener trusts. */
export interface OpenerOptions {
  /** PEM of the authority that signs the manager's certificate. */
  readonly ca?: string | undefined;
  /**
   * What is done without {@linkcode OpenerOptions.ca}. `any`, the default, does not check the
   * certificate: who asks for a download names its sha256, and that is what the bytes are held
   * against. `well_known` trusts the well-known authorities: for what no sha256 is known of.
   */
  readonly otherwise?: "any" | "well_known";
}

/** Makes an opener. */
export function createOpener({ ca, otherwise = "any" }: OpenerOptions = {}): OpenUrl {
  const trust = { rejectUnauthorized: ca !== undefined || otherwise === "well_known", ca };
  return async (url, open) => {
    let target = new URL(url);
    for (let hops = 0; hops <= MAX_REDIRECTS; hops++) {
      const answer = await request(target, trust, open);
      const location = redirectOf(answer.message);
      if (location === undefined) return opened(answer);
      answer.message.destroy();
      target = redirected(location, target);
    }
    throw new RedirectError(`more than ${MAX_REDIRECTS} redirects`);
  };
}

/** An answer, and how far its consumer is. */
class Answer implements Consumption {
  readonly message: http.IncomingMessage;
  taken = 0;
  hungry = false;

  constructor(message: http.IncomingMessage) {
    this.message = message;
  }

  async *body(): AsyncGenerator<Uint8Array> {
    this.hungry = true;
    for await (const chunk of this.message) {
      this.hungry = false;
      yield chunk;
      this.taken += chunk.length;
      this.hungry = true;
    }
  }
}

/** Until there is an answer, its head is waited for. */
const BEFORE_ANSWER: Consumption = { taken: 0, hungry: true };

function request(url: URL, trust: Trust, open: OpenOptions): Promise<Answer> {
  const headers: Record<string, string> = { "accept-encoding": "identity" };
  if (open.offset > 0) {
    headers.range = `bytes=${open.offset}-`;
    if (open.validator !== undefined) headers["if-range"] = open.validator;
  }
  return new Promise((resolve, reject) => {
    let answer: Answer | undefined;
    const sent = send(url, { headers, signal: open.signal }, {
      ...trust,
      consumer: () => answer ?? BEFORE_ANSWER,
    });
    const timer = setTimeout(
      () => sent.destroy(new OngridError(`no answer within ${ANSWER_TIMEOUT_MS / 1000} s`)),
      ANSWER_TIMEOUT_MS,
    );
    sent.on("response", (response) => {
      clearTimeout(timer);
      answer = new Answer(response);
      resolve(answer);
    });
    sent.on("error", (error) => {
      clearTimeout(timer);
      reject(error);
    });
    sent.end();
  });
}

/** Begins a request on a connection of its own: nothing may be left open when it is done. */
function send(
  url: URL,
  options: http.RequestOptions,
  tls: Omit<PacedTlsOptions, "hostname" | "port">,
): http.ClientRequest {
  switch (url.protocol) {
    case "http:":
      return http.request(url, { ...options, agent: false });
    case "https:": {
      const hostname = url.hostname.replace(/^\[|\]$/g, "");
      const port = Number(url.port || HTTPS_PORT);
      return https.request(url, {
        ...options,
        createConnection: () => connectPacedTls({ ...tls, hostname, port }),
      });
    }
    default:
      throw new OngridError(`${url.protocol} is not http(s)`);
  }
}

function redirectOf(answer: http.IncomingMessage): string | undefined {
  const status = answer.statusCode ?? 0;
  return [301, 302, 303, 307, 308].includes(status) ? answer.headers.location : undefined;
}

function redirected(location: string, from: URL): URL {
  const target = URL.canParse(location, from) ? new URL(location, from) : undefined;
  if (target && /^https?:$/.test(target.protocol)) return target;
  throw new RedirectError(
    `redirected to ${target?.protocol ?? "what is no URL"}, which is not http(s)`,
  );
}

function opened(answer: Answer): OpenedUrl {
  const { message } = answer;
  const { headers } = message;
  const range = /^bytes ([0-9]+)-[0-9]*(?:\/([0-9]+|\*))?$/.exec(headers["content-range"] ?? "");
  const etag = headers.etag?.startsWith("W/") ? undefined : headers.etag;
  return {
    status: message.statusCode ?? 0,
    length: count(headers["content-length"]),
    rangeStart: count(range?.[1]),
    wholeLength: count(range?.[2]),
    validator: etag ?? headers["last-modified"],
    body: answer.body(),
    close: () => message.destroy(),
  };
}

function count(text: string | undefined): number | undefined {
  return text !== undefined && /^[0-9]{1,15}$/.test(text) ? Number(text) : undefined;
}
