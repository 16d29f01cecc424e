import type { Socket } from "node:net";
import type { Transport } from "./connection.ts";

const NO_BYTES = new Uint8Array(0);

/**
 * A TLS socket of `node:tls` as a {@linkcode Transport}. `Deno.TlsConn` cannot be used: closing
 * one whose handshake is not done leaves the TCP connection open until the peer ends it, so that
 * silent peers would use up all file descriptors.
 */
export class StreamTransport implements Transport {
  readonly #socket: Socket;
  #rest: Uint8Array = NO_BYTES;
  #error: Error | undefined;
  #over = false;
  #wake: () => void = () => {};

  constructor(socket: Socket) {
    this.#socket = socket;
    const finish = () => {
      this.#over = true;
      this.#wake();
    };
    socket.on("readable", () => this.#wake());
    socket.on("end", finish);
    socket.on("close", finish);
    socket.on("error", (error) => {
      this.#error = error;
      finish();
    });
  }

  /** One read at a time. */
  async read(into: Uint8Array): Promise<number | null> {
    for (;;) {
      if (this.#rest.length === 0) this.#rest = this.#socket.read() ?? NO_BYTES;
      if (this.#rest.length > 0) return this.#give(into);
      if (this.#error !== undefined) throw this.#error;
      if (this.#over) return null;
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
  }

  /** Resolves when the bytes are with the kernel. */
  write(bytes: Uint8Array): Promise<number> {
    return new Promise((resolve, reject) => {
      const done = (error?: Error | null) => error ? reject(error) : resolve(bytes.length);
      this.#socket.write(bytes, done);
    });
  }

  close(): void {
    this.#socket.destroy();
  }

  #give(into: Uint8Array): number {
    const count = Math.min(into.length, this.#rest.length);
    into.set(this.#rest.subarray(0, count));
    this.#rest = this.#rest.subarray(count);
    return count;
  }
}
