import { ProtocolError } from "../cli/errors.ts";
import {
  decodeConnBody,
  decodeDataBody,
  decodeRegisterBody,
  decodeSessionBody,
  encodeConnBody,
  encodeDataBody,
  encodeRegisterBody,
  encodeSessionBody,
} from "./body.ts";
import {
  HEADER_BYTES,
  MAX_PAYLOAD_BYTES,
  type Packet,
  PACKET_CODES,
  type PacketType,
  VERSION_BYTE,
} from "./packet.ts";

const EMPTY = new Uint8Array(0);
const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

const TYPES = new Map<number, PacketType>(
  (Object.entries(PACKET_CODES) as [PacketType, number][]).map(([type, code]) => [code, type]),
);

/** The name of a type byte; `undefined` when no packet has it. */
export function packetType(code: number): PacketType | undefined {
  return TYPES.get(code);
}

/**
 * The whole frame of a packet, header included, byte for byte as the existing peers write it.
 *
 * @throws {ProtocolError} kind `protocol` when the payload is longer than the other side accepts
 */
export function encodePacket(packet: Packet): Uint8Array {
  const [head, tail] = payloadParts(packet);
  const length = head.length + tail.length;
  if (length > MAX_PAYLOAD_BYTES) {
    throw new ProtocolError(
      `Cannot send a ${packet.type} packet of ${length} bytes: the limit is ${MAX_PAYLOAD_BYTES}`,
      { kind: "protocol", hint: "Send less at a time." },
    );
  }
  const frame = new Uint8Array(HEADER_BYTES + length);
  const view = new DataView(frame.buffer);
  view.setUint8(0, VERSION_BYTE);
  view.setUint8(1, PACKET_CODES[packet.type]);
  view.setBigUint64(2, packet.packetId);
  view.setUint32(10, length);
  frame.set(head, HEADER_BYTES);
  frame.set(tail, HEADER_BYTES + head.length);
  return frame;
}

/** The payload in two parts, so that a large body is copied into its frame only once. */
function payloadParts(packet: Packet): [Uint8Array, Uint8Array] {
  switch (packet.type) {
    case "Conn":
      return [head([packet.flags, 0], packet.wantedId), encodeConnBody(packet.body)];
    case "ConnAck":
      return [head([packet.ret], packet.clientId), encodeConnBody(packet.body)];
    case "DisConnAck":
      return [head([packet.ret]), encodeConnBody(packet.body)];
    case "DisConn":
    case "Heartbeat":
    case "HeartbeatAck":
      return [EMPTY, EMPTY];
    case "Session":
      return [
        head([packet.priority, packet.flags], packet.negotiateId),
        encodeSessionBody(packet.body),
      ];
    case "SessionAck":
      return [head([0, 0], packet.negotiateId, packet.sessionId), encodeSessionBody(packet.body)];
    case "Dismiss":
    case "DismissAck":
      return [head([], packet.sessionId), encodeSessionBody(packet.body)];
    case "Message":
    case "MessageAck":
    case "Request":
    case "Response":
      return [head([], packet.sessionId), encodeDataBody(packet.body)];
    case "Stream":
      return [head([], packet.sessionId), packet.data];
    case "RequestCancel":
      return [head([], packet.sessionId), Uint8Array.of(packet.cancel >> 8, packet.cancel & 0xff)];
    case "Register":
      return [head([], packet.sessionId), encoder.encode(packet.method)];
    case "RegisterAck":
      return [head([], packet.sessionId), encodeRegisterBody(packet.body)];
  }
}

function head(bytes: number[], ...ids: bigint[]): Uint8Array {
  const out = new Uint8Array(bytes.length + 8 * ids.length);
  out.set(bytes);
  const view = new DataView(out.buffer);
  ids.forEach((id, i) => view.setBigUint64(bytes.length + 8 * i, id));
  return out;
}

/**
 * The packet in a payload. Nothing in the result refers to `payload`, which may be overwritten
 * afterwards.
 *
 * @throws {ProtocolError} kind `protocol` when the payload is too short for its type, has bytes
 * where none belong, or its JSON is wrong; nothing else is ever thrown
 */
export function decodePacket(type: PacketType, packetId: bigint, payload: Uint8Array): Packet {
  const at = new Cursor(type, payload);
  switch (type) {
    case "Conn": {
      const flags = at.byte();
      at.byte();
      return { type, packetId, flags, wantedId: at.id(), body: decodeConnBody(at.rest()) };
    }
    case "ConnAck":
      return {
        type,
        packetId,
        ret: at.byte(),
        clientId: at.id(),
        body: decodeConnBody(at.rest()),
      };
    case "DisConnAck":
      return { type, packetId, ret: at.byte(), body: decodeConnBody(at.rest()) };
    case "DisConn":
    case "Heartbeat":
    case "HeartbeatAck":
      at.end();
      return { type, packetId };
    case "Session":
    case "SessionAck":
    case "Dismiss":
    case "DismissAck":
      return decodeSessionPacket(type, packetId, at);
    default:
      return decodeCallPacket(type, packetId, at);
  }
}

function decodeSessionPacket(
  type: "Session" | "SessionAck" | "Dismiss" | "DismissAck",
  packetId: bigint,
  at: Cursor,
): Packet {
  switch (type) {
    case "Session": {
      const [priority, flags] = [at.byte(), at.byte()];
      const negotiateId = at.id();
      return { type, packetId, priority, flags, negotiateId, body: decodeSessionBody(at.rest()) };
    }
    case "SessionAck": {
      at.byte();
      at.byte();
      const [negotiateId, sessionId] = [at.id(), at.id()];
      return { type, packetId, negotiateId, sessionId, body: decodeSessionBody(at.rest()) };
    }
    case "Dismiss":
    case "DismissAck":
      return { type, packetId, sessionId: at.id(), body: decodeSessionBody(at.rest()) };
  }
}

type CallType =
  | ("Message" | "MessageAck" | "Request" | "Response")
  | ("Stream" | "RequestCancel" | "Register" | "RegisterAck");

function decodeCallPacket(type: CallType, packetId: bigint, at: Cursor): Packet {
  const sessionId = at.id();
  switch (type) {
    case "Message":
    case "MessageAck":
    case "Request":
    case "Response":
      return { type, packetId, sessionId, body: decodeDataBody(at.rest()) };
    case "Stream":
      return { type, packetId, sessionId, data: at.rest().slice() };
    case "RequestCancel":
      return { type, packetId, sessionId, cancel: at.byte() << 8 | at.byte() };
    case "Register":
      return { type, packetId, sessionId, method: decoder.decode(at.rest()) };
    case "RegisterAck":
      return { type, packetId, sessionId, body: decodeRegisterBody(at.rest()) };
  }
}

/** Reads a payload front to back and never past its end. */
class Cursor {
  readonly #type: PacketType;
  readonly #payload: Uint8Array;
  readonly #view: DataView;
  #offset = 0;

  constructor(type: PacketType, payload: Uint8Array) {
    this.#type = type;
    this.#payload = payload;
    this.#view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  }

  byte(): number {
    return this.#view.getUint8(this.#take(1));
  }

  id(): bigint {
    return this.#view.getBigUint64(this.#take(8));
  }

  rest(): Uint8Array {
    return this.#payload.subarray(this.#offset);
  }

  end(): void {
    if (this.#offset !== this.#payload.length) throw this.#broken("longer");
  }

  #take(bytes: number): number {
    const offset = this.#offset;
    if (offset + bytes > this.#payload.length) throw this.#broken("shorter");
    this.#offset += bytes;
    return offset;
  }

  #broken(how: "longer" | "shorter"): ProtocolError {
    return new ProtocolError(
      `Cannot read a ${this.#type} packet: its ${this.#payload.length} bytes are ${how} than its type allows`,
      { kind: "protocol" },
    );
  }
}
