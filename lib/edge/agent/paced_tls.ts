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
  /** Decrypted bytes that the consumer has taken, and that wait for it. */
  readonly arrived: () => { readonly taken: number; readonly waiting: number };
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
      options.arrived,
    ),
    host: hostname,
    rejectUnauthorized,
    ...(net.isIP(hostname) ? {} : { servername: hostname }),
    ...(ca === undefined ? {} : { ca }),
  });
}

function pacedSocket(raw: net.Socket, arrived: PacedTlsOptions["arrived"]): Duplex {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let read = 0;
  let decryptedBefore = -1;
  const readOn = () => {
    clearTimeout(timer);
    if (paced.destroyed) return;
    const { taken, waiting } = arrived();
    const decrypted = taken + waiting;
    // What TLS adds counts as not decrypted for ever: as long as anything moves, that is no reason.
    const stuck = read - decrypted > MAX_WAITING_BYTES && decrypted === decryptedBefore;
    decryptedBefore = stuck ? -1 : decrypted;
    if (stuck || waiting > MAX_WAITING_BYTES) timer = setTimeout(readOn, RECHECK_MS);
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
    // It is decrypted in a later turn: only then is it known how much is waiting.
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
