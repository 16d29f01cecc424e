import { ProtocolError } from "../cli/errors.ts";
import type { Clock } from "./clock.ts";
import type { Transport } from "./connection.ts";
import { StreamTransport } from "./stream_transport.ts";

/** How TLS to the broker is checked. */
export interface DialTls {
  /** Certificates of the authorities to trust, PEM. Default: the well-known ones. */
  readonly caCerts?: string[];
  /** The name in the broker's certificate, where it is not the host name dialled. */
  readonly serverName?: string;
}

/** Where to dial. */
export interface DialOptions {
  readonly hostname: string;
  readonly port: number;
  /** Absent: plain TCP. */
  readonly tls?: DialTls;
  /** Gives up; the attempt rejects with its reason. */
  readonly signal?: AbortSignal;
}

/** How long the TCP and the TLS handshake may take together, ms. */
const DIAL_LIMIT_MS = 10_000;

/**
 * Opens a TCP connection, with TLS if asked.
 *
 * @throws {ProtocolError} kind `closed` when nothing answers there or the certificate is not
 * trusted, `timeout` when it takes too long
 */
export async function dial(options: DialOptions, clock: Clock): Promise<Transport> {
  const { signal } = options;
  signal?.throwIfAborted();
  const where = `${options.hostname}:${options.port}`;
  const abort = new AbortController();
  const giveUp = () => abort.abort(signal?.reason);
  signal?.addEventListener("abort", giveUp, { once: true });
  const late = new ProtocolError(`Cannot connect to ${where}: no answer in time`, {
    kind: "timeout",
    hint: "Check the address, and that no firewall drops the packets.",
  });
  const stopTimer = clock.after(DIAL_LIMIT_MS, () => abort.abort(late));
  try {
    return await open(options, abort.signal);
  } catch (cause) {
    if (abort.signal.aborted) throw abort.signal.reason;
    throw new ProtocolError(`Cannot connect to ${where}`, {
      kind: "closed",
      cause,
      hint: "Check the address and that the manager is running.",
    });
  } finally {
    stopTimer();
    signal?.removeEventListener("abort", giveUp);
  }
}

async function open(options: DialOptions, signal: AbortSignal): Promise<Transport> {
  const { hostname, port, tls } = options;
  if (tls !== undefined) return await openTls({ ...options, tls }, signal);
  const conn = await Deno.connect({ hostname, port, signal });
  // Small packets are joined before they are written; the kernel need not wait for more.
  conn.setNoDelay(true);
  return conn;
}

/** See {@linkcode StreamTransport} for why this is not `Deno.connectTls`. */
async function openTls(
  { hostname, port, tls }: DialOptions & { tls: DialTls },
  signal: AbortSignal,
): Promise<Transport> {
  // Loaded only where TLS is used: it is slow to start.
  const [net, { connect }] = await Promise.all([import("node:net"), import("node:tls")]);
  signal.throwIfAborted();
  const socket = net.connect({ host: hostname, port, noDelay: true });
  const name = tls.serverName ?? hostname;
  const secure = connect({
    socket,
    host: name,
    // An address is checked against the certificate too, but never sent as a name.
    ...(net.isIP(name) === 0 ? { servername: name } : {}),
    ...(tls.caCerts === undefined ? {} : { ca: tls.caCerts }),
  });
  const stop = () => secure.destroy(new Error("given up"));
  signal.addEventListener("abort", stop, { once: true });
  try {
    await new Promise<void>((resolve, reject) => {
      secure.once("secureConnect", resolve);
      secure.once("error", reject);
      socket.once("error", reject);
      secure.once("close", () => reject(new Error("the peer closed the connection")));
    });
    return new StreamTransport(secure);
  } catch (error) {
    secure.destroy();
    socket.destroy();
    throw error;
  } finally {
    signal.removeEventListener("abort", stop);
  }
}
