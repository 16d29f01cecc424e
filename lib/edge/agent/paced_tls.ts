/** TLS that reads no faster than its consumer. */

import net from "node:net";
import tls from "node:tls";
import { Duplex } from "node:stream";
import { setImmediate } from "node:timers";

/** Bytes that may wait somewhere on the way before no more are read from the network. */
const MAX_WAITING_BYTES = 1024 * 1024;

/** How often a full way is looked at again, in milliseconds. */
const RECHECK_MS = 5;

/** Where to connect, and whom to trust. */
export interface PacedTlsOptions {
  readonly hostname: string;
  readonly port: number;
  readonly rejectUnauthorized: boolean;
  readonly ca?: string | undefined;
  /** How far the consumer is. */
  readonly consumer: () => Consumption;
}

/** How far a consumer is. */
export interface Consumption {
  /** Decrypted bytes that it has taken. */
  readonly taken: number;
  /** Whether it waits for more. */
  readonly hungry: boolean;
}

/**
 * Connects. The runtime's TLS sockets read as fast as the network gives, whoever is behind: a
 * bundle would pile up in memory while a slow disk takes it. So the bytes go through a stream that
 * reads from the network only while little is waiting.
 */
export function connectPacedTls(options: PacedTlsOptions): tls.TLSSocket {
  const { hostname, port, rejectUnauthorized, ca } = options;
  return tls.connect({
    socket: pacedSocket(
      net.connect({ host: hostname, port }),
      options.consumer,
    ),
    host: hostname,
    rejectUnauthorized,
    ...(net.isIP(hostname) ? {} : { servername: hostname }),
    ...(ca === undefined ? {} : { ca }),
  });
}

function pacedSocket(raw: net.Socket, consumer: PacedTlsOptions["consumer"]): Duplex {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let read = 0;
  const readOn = () => {
    clearTimeout(timer);
    if (paced.destroyed) return;
    const { taken, hungry } = consumer();
    // What TLS adds counts as not taken for ever: that keeps nobody waiting who wants more.
    if (!hungry && read - taken > MAX_WAITING_BYTES) timer = setTimeout(readOn, RECHECK_MS);
    else raw.resume();
  };
  const paced = new Duplex({
    read: () => {},
    write: (chunk, _encoding, done) => void raw.write(chunk, done),
    final: (done) => void raw.end(done),
    destroy: (error, done) => {
      clearTimeout(timer);
      raw.destroy();
      done(error);
    },
  });
  raw.on("data", (chunk) => {
    raw.pause();
    read += chunk.length;
    paced.push(chunk);
    // It is decrypted in a later turn: only then is it known whether more is wanted.
    setImmediate(readOn);
  });
  let ended = false;
  raw.on("end", () => {
    ended = true;
    paced.push(null);
  });
  raw.on("error", (error) => paced.destroy(error));
  // After an orderly end there may be bytes that nobody has taken yet.
  raw.on("close", () => ended || paced.destroy());
  return paced;
}
