import { describeError, OngridError } from "../../cli/errors.ts";
import type { Log } from "../effects.ts";
import { type ListenAddress, listenOn } from "../listen_address.ts";
import { plain } from "./respond.ts";
import type { HttpHandler } from "./router.ts";

/** How long requests under way may take to end when the server is stopped, ms. */
const SHUTDOWN_MS = 1500;

/** A listening HTTP server. */
export interface HttpServer {
  readonly hostname: string;
  readonly port: number;
  /** Stops listening and waits a moment for what is under way; downloads are cut off then. */
  close(): Promise<void>;
}

/**
 * Listens on `address`.
 *
 * @throws {OngridError} The address cannot be listened on.
 */
export async function startHttpServer(
  { address, handler, log }: { address: ListenAddress; handler: HttpHandler; log: Log },
): Promise<HttpServer> {
  const abort = new AbortController();
  const underWay = new Set<Promise<void>>();
  let closing = false;
  const answer = async (request: Request, info: Deno.ServeHandlerInfo<Deno.NetAddr>) => {
    if (closing) return plain("the manager is being stopped", 503, { connection: "close" });
    // A client that went away before the end is no failure of the server's.
    const sent = info.completed.catch(() => {}).finally(() => underWay.delete(sent));
    underWay.add(sent);
    return await handler(request, info.remoteAddr);
  };
  const server = await listen(address, ({ hostname, port }) =>
    Deno.serve({
      hostname,
      port,
      signal: abort.signal,
      onListen: () => {},
      onError: (e) => {
        log.error(`Cannot answer a request: ${describeError(e).message}`);
        return new Response(null, { status: 500 });
      },
    }, answer));
  return {
    hostname: server.addr.hostname,
    port: server.addr.port,
    async close() {
      closing = true;
      const { promise: late, resolve } = Promise.withResolvers<"late">();
      const timer = setTimeout(() => resolve("late"), SHUTDOWN_MS);
      if (await Promise.race([Promise.all(underWay), late]) === "late") {
        // Only then: it also cuts off answers that are still on their way to the network.
        abort.abort();
        await server.finished;
      } else {
        await Promise.race([server.shutdown(), late]);
      }
      clearTimeout(timer);
    },
  };
}

async function listen(
  address: ListenAddress,
  start: (address: { hostname: string; port: number }) => Deno.HttpServer<Deno.NetAddr>,
): Promise<Deno.HttpServer<Deno.NetAddr>> {
  try {
    return await listenOn(address, start);
  } catch (cause) {
    const where = `${address.hostname ?? ""}:${address.port}`;
    throw new OngridError(`Cannot listen for HTTP on ${where}`, {
      cause,
      hint: "Stop what listens there, or choose another address (ONGRID_HTTP_ADDR).",
    });
  }
}
