import { ProtocolError } from "../cli/errors.ts";
import { decodePacket, packetType } from "./codec.ts";
import { HEADER_BYTES, MAX_PAYLOAD_BYTES, type Packet, type PacketType } from "./packet.ts";

/** First buffer of a payload that comes in pieces, bytes; it doubles as bytes really arrive. */
const FIRST_BUFFER_BYTES = 4 * 1024;

interface Header {
  readonly type: PacketType;
  readonly packetId: bigint;
  readonly length: number;
}

/**
 * Cuts a byte stream into packets, however it is split. A header that announces a long payload
 * costs nothing until the bytes arrive: memory stays below twice of what was received, and below
 * the payload limit.
 */
export class PacketReader {
  /** The beginning of a header that came in pieces; there is none for most packets. */
  #header: Uint8Array | undefined;
  #headerFilled = 0;
  #current: Header | undefined;
  #payload: Uint8Array | undefined;
  #payloadFilled = 0;
  #broken = false;
  #maxPayload: number;

  /** @param maxPayload longest payload accepted, bytes */
  constructor(maxPayload = MAX_PAYLOAD_BYTES) {
    this.#maxPayload = maxPayload;
  }

  /** Changes the longest payload accepted, bytes, from the next header on. */
  set maxPayload(bytes: number) {
    this.#maxPayload = bytes;
  }

  /** Bytes still to come of the payload that has begun; 0 between packets. */
  get missing(): number {
    return this.#current === undefined ? 0 : this.#current.length - this.#payloadFilled;
  }

  /**
   * The packets that `chunk` completes; the chunk may be overwritten when the iteration is over.
   * The iteration must be run to its end.
   *
   * @throws {ProtocolError} kind `protocol`, during the iteration, after the packets in front of
   * the broken one; the stream is of no use any more then
   */
  *read(chunk: Uint8Array): Generator<Packet, void> {
    if (this.#broken) throw broken("the stream was broken before");
    let offset = 0;
    // Bounded by the chunk: each round takes at least one byte of it.
    while (offset < chunk.length) {
      let done: Packet | undefined;
      try {
        offset += this.#current === undefined
          ? this.#readHeader(chunk.subarray(offset))
          : this.#readPayload(this.#current, chunk.subarray(offset));
        done = this.#finished();
      } catch (error) {
        this.#broken = true;
        throw error;
      }
      if (done !== undefined) yield done;
    }
  }

  #readHeader(bytes: Uint8Array): number {
    if (this.#header === undefined && bytes.length >= HEADER_BYTES) {
      this.#current = parseHeader(bytes, this.#maxPayload);
      return HEADER_BYTES;
    }
    this.#header ??= new Uint8Array(HEADER_BYTES);
    const taken = Math.min(HEADER_BYTES - this.#headerFilled, bytes.length);
    this.#header.set(bytes.subarray(0, taken), this.#headerFilled);
    this.#headerFilled += taken;
    if (this.#headerFilled === HEADER_BYTES) {
      this.#current = parseHeader(this.#header, this.#maxPayload);
      this.#header = undefined;
      this.#headerFilled = 0;
    }
    return taken;
  }

  #readPayload(header: Header, bytes: Uint8Array): number {
    const missing = header.length - this.#payloadFilled;
    const taken = Math.min(missing, bytes.length);
    if (this.#payloadFilled === 0 && taken === header.length) {
      // The usual case, a packet in one piece, needs no buffer of its own.
      this.#payload = bytes.subarray(0, taken);
    } else {
      const room = this.#room(header.length, this.#payloadFilled + taken);
      room.set(bytes.subarray(0, taken), this.#payloadFilled);
      this.#payload = room;
    }
    this.#payloadFilled += taken;
    return taken;
  }

  /** A buffer of at least `wanted` bytes that begins with what has been received so far. */
  #room(length: number, wanted: number): Uint8Array {
    const old = this.#payload ?? new Uint8Array(0);
    if (old.length >= wanted) return old;
    const size = Math.min(length, Math.max(wanted, old.length * 2, FIRST_BUFFER_BYTES));
    const larger = new Uint8Array(size);
    larger.set(old.subarray(0, this.#payloadFilled));
    return larger;
  }

  #finished(): Packet | undefined {
    const header = this.#current;
    if (header === undefined || this.#payloadFilled < header.length) return undefined;
    const payload = (this.#payload ?? new Uint8Array(0)).subarray(0, header.length);
    this.#current = undefined;
    this.#payload = undefined;
    this.#payloadFilled = 0;
    return decodePacket(header.type, header.packetId, payload);
  }
}

function parseHeader(bytes: Uint8Array, maxPayload: number): Header {
  const view = new DataView(bytes.buffer, bytes.byteOffset, HEADER_BYTES);
  const code = view.getUint8(1);
  const type = packetType(code);
  if (type === undefined) {
    throw broken(`unknown packet type 0x${code.toString(16).padStart(2, "0")}`);
  }
  const length = view.getUint32(10);
  if (length > maxPayload) {
    throw broken(`${type} packet of ${length} bytes, the limit is ${maxPayload}`);
  }
  return { type, packetId: view.getBigUint64(2), length };
}

function broken(why: string): ProtocolError {
  return new ProtocolError(`Cannot read from the peer: ${why}`, { kind: "protocol" });
}
