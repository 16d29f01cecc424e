import { describeError, OngridError } from "../../cli/errors.ts";
import type { Log } from "../effects.ts";
import { type ListenAddress, listenOn } from "../listen_address.ts";
import { plain } from "./respond.ts";
import type { HttpHandler } from "./router.ts";

/** How long requests under way may take to end when the server is stopped, ms. */
const SHUTDOWN_MS = 1500;

/** When listening has broken off, it is tried again after this, ms. */
const REOPEN_MS = 500;

/** A listening HTTP server. */
export interface HttpServer {
  readonly hostname: string;
  readonly port: number;
  /** Stops listening and waits a moment for what is under way; downloads are cut off then. */
  close(): Promise<void>;
}

/** What a server works with. */
export interface HttpServerOptions {
  address: ListenAddress;
  handler: HttpHandler;
  log: Log;
}

/**
 * Listens on `address`, and goes on doing so: the runtime's server ends when it cannot accept a
 * connection, and anybody can bring that about by opening more of them than the process may have.
 *
 * @throws {OngridError} The address cannot be listened on.
 */
export async function startHttpServer(options: HttpServerOptions): Promise<HttpServer> {
  const { address } = options;
  const server = new Server(options);
  try {
    await listenOn(address, (where) => server.open(where));
  } catch (cause) {
    const where = `${address.hostname ?? ""}:${address.port}`;
    throw new OngridError(`Cannot listen for HTTP on ${where}`, {
      cause,
      hint: "Stop what listens there, or choose another address (ONGRID_HTTP_ADDR).",
    });
  }
  return server;
}

class Server implements HttpServer {
  hostname = "";
  port = 0;
  readonly #options: Pick<HttpServerOptions, "handler" | "log">;
  readonly #abort = new AbortController();
  readonly #underWay = new Set<Promise<void>>();
  #server: Deno.HttpServer<Deno.NetAddr> | undefined;
  #reopening: ReturnType<typeof setTimeout> | undefined;
  #closing = false;

  constructor(options: Pick<HttpServerOptions, "handler" | "log">) {
    this.#options = options;
  }

  open(address: { hostname: string; port: number }): void {
    const { log } = this.#options;
    const server = Deno.serve({
      ...address,
      signal: this.#abort.signal,
      onListen: () => {},
      onError: (e) => {
        log.error(`Cannot answer a request: ${describeError(e).message}`);
        return new Response(null, { status: 500 });
      },
    }, (request, info) => this.#answer(request, info));
    this.#server = server;
    this.hostname = server.addr.hostname;
    this.port = server.addr.port;
    server.finished.catch((e) => {
      log.error(`HTTP has stopped listening, trying again: ${describeError(e).message}`);
      this.#reopenSoon();
    });
  }

  async close(): Promise<void> {
    this.#closing = true;
    clearTimeout(this.#reopening);
    const { promise: late, resolve } = Promise.withResolvers<"late">();
    const timer = setTimeout(() => resolve("late"), SHUTDOWN_MS);
    if (await Promise.race([Promise.all(this.#underWay), late]) === "late") {
      // Only then: it also cuts off answers that are still on their way to the network.
      this.#abort.abort();
      await this.#server?.finished.catch(() => {});
    } else {
      // One that has ended by itself said so when it did.
      await Promise.race([this.#server?.shutdown().catch(() => {}), late]);
    }
    clearTimeout(timer);
  }

  async #answer(request: Request, info: Deno.ServeHandlerInfo<Deno.NetAddr>): Promise<Response> {
    if (this.#closing) return plain("the manager is being stopped", 503, { connection: "close" });
    // A client that went away before the end is no failure of the server's.
    const sent = info.completed.catch(() => {}).finally(() => this.#underWay.delete(sent));
    this.#underWay.add(sent);
    return await this.#options.handler(request, info.remoteAddr);
  }

  /** The connections that there are go on; only new ones have to wait. */
  #reopenSoon(): void {
    if (this.#closing) return;
    this.#reopening = setTimeout(() => {
      try {
        this.open({ hostname: this.hostname, port: this.port });
        this.#options.log.info("HTTP listens again");
      } catch (e) {
        this.#options.log.error(`HTTP cannot listen yet: ${describeError(e).message}`);
        this.#reopenSoon();
      }
    }, REOPEN_MS);
  }
}
