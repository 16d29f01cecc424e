import { ProtocolError } from "../cli/errors.ts";

/** Frames are joined up to this size for one write, bytes: fewer system calls, small copies. */
const BATCH_BYTES = 64 * 1024;

/** Above this many bytes not yet taken by the kernel, new calls and answers wait, bytes. */
export const HIGH_WATER_BYTES = 256 * 1024;

/** What a queued frame costs beside its bytes, so that many tiny ones count, bytes. */
const FRAME_OVERHEAD_BYTES = 128;

/** The writing half of a connection. */
export interface ByteSink {
  write(bytes: Uint8Array): Promise<number>;
}

/**
 * The one queue of frames in front of a connection: keeps their order, joins small ones, and is
 * bounded, so that a peer that does not read cannot make this process grow.
 */
export class FrameWriter {
  readonly #sink: ByteSink;
  readonly #maxBytes: number;
  readonly #onFailure: (error: ProtocolError) => void;
  #queue: Uint8Array[] = [];
  #backlog = 0;
  #writing: Promise<void> | undefined;
  #closed = false;
  #waiters: (() => void)[] = [];

  constructor(
    sink: ByteSink,
    options: { maxBytes: number; onFailure: (error: ProtocolError) => void },
  ) {
    this.#sink = sink;
    this.#maxBytes = options.maxBytes;
    this.#onFailure = options.onFailure;
  }

  /**
   * Queues a frame. After a failure or {@linkcode close} frames are dropped: the connection's end
   * is reported once, by `onFailure`, not by every sender.
   */
  send(frame: Uint8Array): void {
    if (this.#closed) return;
    this.#queue.push(frame);
    this.#backlog += frame.length + FRAME_OVERHEAD_BYTES;
    if (this.#backlog > this.#maxBytes) {
      this.#fail(
        new ProtocolError(
          `Cannot write to the peer: it does not read, ${this.#backlog} bytes are waiting`,
          { kind: "closed" },
        ),
      );
      return;
    }
    this.#writing ??= this.#run();
  }

  /** Whether a sender that can wait should, see {@linkcode drained}. */
  get crowded(): boolean {
    return !this.#closed && this.#backlog > HIGH_WATER_BYTES;
  }

  /**
   * Resolves when there may be room again, or the writer is closed; ask {@linkcode crowded} again
   * then, as another sender may have been quicker.
   */
  drained(): Promise<void> {
    if (!this.crowded) return Promise.resolve();
    return new Promise((resolve) => this.#waiters.push(resolve));
  }

  /** Resolves when everything queued so far was given to the kernel, or the writer is closed. */
  async flushed(): Promise<void> {
    await this.#writing;
  }

  /** Drops what is queued; the sink is left to its owner. */
  close(): void {
    this.#closed = true;
    this.#queue = [];
    this.#backlog = 0;
    this.#wake();
  }

  async #run(): Promise<void> {
    // What is sent in the same turn of the event loop goes out in one write.
    await Promise.resolve();
    try {
      while (this.#queue.length > 0) {
        const { batch, cost } = this.#nextBatch();
        await this.#writeAll(batch);
        this.#backlog = Math.max(0, this.#backlog - cost);
        if (!this.crowded) this.#wake();
      }
    } catch (cause) {
      this.#fail(new ProtocolError("Cannot write to the peer", { kind: "closed", cause }));
    } finally {
      this.#writing = undefined;
    }
  }

  #nextBatch(): { batch: Uint8Array; cost: number } {
    let [bytes, count] = [0, 0];
    for (const frame of this.#queue) {
      if (count > 0 && bytes + frame.length > BATCH_BYTES) break;
      bytes += frame.length;
      count++;
    }
    const frames = this.#queue.splice(0, count);
    const cost = bytes + count * FRAME_OVERHEAD_BYTES;
    const [first] = frames;
    if (count === 1 && first !== undefined) return { batch: first, cost };
    const batch = new Uint8Array(bytes);
    let offset = 0;
    for (const frame of frames) {
      batch.set(frame, offset);
      offset += frame.length;
    }
    return { batch, cost };
  }

  async #writeAll(bytes: Uint8Array): Promise<void> {
    let offset = 0;
    while (offset < bytes.length && !this.#closed) {
      offset += await this.#sink.write(bytes.subarray(offset));
    }
  }

  #fail(error: ProtocolError): void {
    if (this.#closed) return;
    this.close();
    this.#onFailure(error);
  }

  #wake(): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const wake of waiters) wake();
  }
}
