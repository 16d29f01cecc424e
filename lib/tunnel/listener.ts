import type { Server, Socket } from "node:net";
import { describeError, OngridError } from "../cli/errors.ts";
import type { Clock } from "./clock.ts";
import type { Transport } from "./connection.ts";
import { StreamTransport } from "./stream_transport.ts";

/** A connection that somebody opened to us. */
export interface Arrival {
  readonly transport: Transport;
  /** Remote address, without port. */
  readonly hostname: string;
  /** Remote port. */
  readonly port: number;
}

/** Something that takes connections. */
export interface Listener {
  /** Where it listens. */
  readonly port: number;
  /** Takes no more; resolves when the port is free. */
  close(): Promise<void>;
}

/** Where and how to listen. */
export interface ListenOptions {
  readonly hostname: string;
  /** 0 picks a free one. */
  readonly port: number;
  /** Certificate chain and key, PEM. Absent: plain TCP. */
  readonly tls?: { readonly cert: string; readonly key: string } | undefined;
  readonly clock: Clock;
  /** Called for each connection, before any TLS handshake. */
  readonly onArrival: (arrival: Arrival) => void;
  /** Told why a connection could not be accepted. */
  readonly warn: (message: string) => void;
}

/** Pause after a failure to accept, such as too many open files, ms. */
const ACCEPT_RETRY_MS = 100;

/**
 * Listens for connections.
 *
 * @throws {OngridError} when the port cannot be listened on or the certificate cannot be used
 */
export async function listen(options: ListenOptions): Promise<Listener> {
  const { hostname, port, tls } = options;
  try {
    return tls === undefined ? new PlainListener(options) : await listenTls(options, tls);
  } catch (cause) {
    throw new OngridError(`Cannot listen for edges on ${hostname}:${port}`, { cause });
  }
}

class PlainListener implements Listener {
  readonly port: number;
  readonly #options: ListenOptions;
  readonly #listener: Deno.TcpListener;
  readonly #stop = Promise.withResolvers<void>();
  readonly #accepting: Promise<void>;
  #closed = false;

  constructor(options: ListenOptions) {
    this.#options = options;
    this.#listener = Deno.listen({ hostname: options.hostname, port: options.port });
    this.port = this.#listener.addr.port;
    this.#accepting = this.#accept();
  }

  async close(): Promise<void> {
    if (!this.#closed) {
      this.#closed = true;
      this.#stop.resolve();
      this.#listener.close();
    }
    await this.#accepting;
  }

  async #accept(): Promise<void> {
    while (!this.#closed) {
      try {
        const conn = await this.#listener.accept();
        // Small packets are joined before they are written; the kernel need not wait for more.
        conn.setNoDelay(true);
        const { hostname, port } = conn.remoteAddr;
        this.#options.onArrival({ transport: conn, hostname, port });
      } catch (error) {
        if (this.#closed) return;
        this.#options.warn(`Cannot accept a connection: ${describeError(error).message}`);
        await this.#pause(ACCEPT_RETRY_MS);
      }
    }
  }

  async #pause(ms: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const cancel = this.#options.clock.after(ms, resolve);
    await Promise.race([promise, this.#stop.promise]);
    cancel();
  }
}

/** See {@linkcode StreamTransport} for why this is not `Deno.listenTls`. */
async function listenTls(
  options: ListenOptions,
  { cert, key }: { cert: string; key: string },
): Promise<Listener> {
  const [net, tls, crypto] = await Promise.all([
    import("node:net"),
    import("node:tls"),
    import("node:crypto"),
  ]);
  // Looked at now: otherwise a wrong file would only show as failing handshakes.
  if (!new crypto.X509Certificate(cert).checkPrivateKey(crypto.createPrivateKey(key))) {
    throw new OngridError("the key is not that of the certificate");
  }
  const secureContext = tls.createSecureContext({ cert, key });
  const server = net.createServer({ noDelay: true }, (socket) => {
    const { remoteAddress: hostname, remotePort: port } = socket;
    const secure: Socket = new tls.TLSSocket(socket, { isServer: true, secureContext });
    // Closing the TLS socket alone would leave a handshake under way.
    secure.on("close", () => socket.destroy());
    const transport = new StreamTransport(secure);
    // Without an address it is closed already.
    if (hostname === undefined || port === undefined) transport.close();
    else options.onArrival({ transport, hostname, port });
  });
  await started(server, options);
  const address = server.address();
  return {
    port: typeof address === "object" && address !== null ? address.port : options.port,
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

function started(server: Server, options: ListenOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(options.port, options.hostname, () => {
      server.removeListener("error", reject);
      server.on("error", (error) => {
        options.warn(`Cannot accept a connection: ${describeError(error).message}`);
      });
      resolve();
    });
  });
}
