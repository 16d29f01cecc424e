import { describeError, ProtocolError } from "../cli/errors.ts";
import type { Clock } from "./clock.ts";
import { encodePacket } from "./codec.ts";
import type { Packet } from "./packet.ts";
import { PacketReader } from "./reader.ts";
import { FrameWriter } from "./writer.ts";

/**
 * Read buffer of a quiet connection, bytes. It is allocated for as long as the connection lives,
 * so it is what ten thousand idle connections cost; most packets fit.
 */
const IDLE_READ_BYTES = 1024;

/** Read buffer while a long payload arrives, bytes; given back afterwards. */
const BUSY_READ_BYTES = 64 * 1024;

/** A byte stream; `Deno.Conn` is one. */
export interface Transport {
  read(into: Uint8Array): Promise<number | null>;
  write(bytes: Uint8Array): Promise<number>;
  close(): void;
}

/** How a {@linkcode Connection} behaves; one object may serve many connections. */
export interface ConnectionSettings {
  readonly clock: Clock;
  /** Longest payload accepted at first, bytes. */
  readonly maxPayloadBytes: number;
  /** Most bytes that may wait for a peer that does not read. */
  readonly maxQueuedBytes: number;
}

/** What a {@linkcode Connection} tells its owner. */
export interface ConnectionEvents {
  /** Called once, at once, when the connection is lost or ended. */
  readonly onEnd: (why: ProtocolError) => void;
  /** Called once, when nothing is being read any more. */
  readonly onFinished?: () => void;
}

/**
 * Takes each packet in order; while the promise that it returns is pending, nothing further is
 * read. What it throws ends the connection.
 */
export type PacketHandler = (packet: Packet) => void | Promise<void>;

/** Packets over a byte stream, both ways. Knows nothing of what they mean. */
export class Connection {
  readonly #transport: Transport;
  readonly #clock: Clock;
  readonly #events: ConnectionEvents;
  readonly #reader: PacketReader;
  readonly #writer: FrameWriter;
  #why: ProtocolError | undefined;
  #pump: Promise<void> = Promise.resolve();
  #lastBytes: number;
  #lastPacket: number;
  #endPause: () => void = () => {};

  constructor(transport: Transport, settings: ConnectionSettings, events: ConnectionEvents) {
    this.#transport = transport;
    this.#clock = settings.clock;
    this.#events = events;
    this.#reader = new PacketReader(settings.maxPayloadBytes);
    this.#writer = new FrameWriter(transport, {
      maxBytes: settings.maxQueuedBytes,
      onFailure: (error) => this.destroy(error),
    });
    this.#lastBytes = this.#lastPacket = this.#clock.monotonic();
  }

  /** Begins to read. `onPacket` may be replaced later, see {@linkcode handOver}. */
  start(onPacket: PacketHandler): void {
    this.#onPacket = onPacket;
    this.#pump = this.#run();
  }

  /** Gives all further packets to another handler. */
  handOver(onPacket: PacketHandler): void {
    this.#onPacket = onPacket;
  }

  /** When bytes last arrived, on the monotonic clock, ms. */
  get lastBytes(): number {
    return this.#lastBytes;
  }

  /** When a whole packet last arrived, on the monotonic clock, ms. */
  get lastPacket(): number {
    return this.#lastPacket;
  }

  /** Why the connection is over; `undefined` while it is not. */
  get why(): ProtocolError | undefined {
    return this.#why;
  }

  /** Changes the longest payload accepted, bytes. */
  set maxPayloadBytes(bytes: number) {
    this.#reader.maxPayload = bytes;
  }

  /**
   * Queues a packet; dropped when the connection is over.
   *
   * @throws {ProtocolError} when the packet is longer than the protocol allows
   */
  send(packet: Packet): void {
    this.#writer.send(encodePacket(packet));
  }

  /** Resolves when a sender that can wait may send: the queue is short, or the end has come. */
  async writable(): Promise<void> {
    // Bounded by the peer: it reads, or the connection is ended by a limit.
    while (this.#writer.crowded) await this.#writer.drained();
  }

  /** Resolves when what was sent so far is with the kernel, or the connection is over. */
  flushed(): Promise<void> {
    return this.#writer.flushed();
  }

  /** Ends the connection at once, dropping what is still queued. Only the first reason counts. */
  destroy(why: ProtocolError): void {
    if (this.#why !== undefined) return;
    this.#why = why;
    this.#writer.close();
    this.#transport.close();
    this.#endPause();
    this.#events.onEnd(why);
  }

  /** Resolves when reading and writing have stopped. Never rejects. */
  async finished(): Promise<void> {
    await this.#pump;
    await this.#writer.flushed();
  }

  #onPacket: PacketHandler = () => {};

  async #run(): Promise<void> {
    const idle = new Uint8Array(IDLE_READ_BYTES);
    try {
      while (this.#why === undefined) {
        const missing = this.#reader.missing;
        const buffer = missing > idle.length
          ? new Uint8Array(Math.min(missing, BUSY_READ_BYTES))
          : idle;
        const count = await this.#transport.read(buffer);
        if (count === null) {
          throw new ProtocolError("The peer closed the connection", { kind: "closed" });
        }
        await this.#take(buffer.subarray(0, count));
      }
    } catch (error) {
      this.destroy(asProtocolError(error));
    }
    this.#events.onFinished?.();
  }

  async #take(chunk: Uint8Array): Promise<void> {
    this.#lastBytes = this.#clock.monotonic();
    for (const packet of this.#reader.read(chunk)) {
      if (this.#why !== undefined) return;
      this.#lastPacket = this.#lastBytes;
      const pause = this.#onPacket(packet);
      if (pause !== undefined) await this.#untilOver(pause);
    }
  }

  /** The end of the pause, or of the connection: a handler that hangs must not outlive it. */
  #untilOver(pause: Promise<void>): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#endPause = resolve;
      pause.then(resolve, reject);
    });
  }
}

/** Loss of the connection in the words of the operating system becomes a `closed` error. */
function asProtocolError(error: unknown): ProtocolError {
  if (error instanceof ProtocolError) return error;
  return new ProtocolError(`The connection was lost: ${describeError(error).message}`, {
    kind: "closed",
    cause: error,
  });
}
