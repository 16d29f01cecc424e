/**
 * The packets of the geminio protocol. A frame is a 14-byte header (version 1, type 1, packet id
 * 8, payload length 4; big endian) and a payload whose layout depends on the type.
 */

/** Type name → type byte. */
export const PACKET_CODES = {
  Conn: 0x01,
  ConnAck: 0x02,
  DisConn: 0x11,
  DisConnAck: 0x12,
  Heartbeat: 0x21,
  HeartbeatAck: 0x22,
  Session: 0x31,
  SessionAck: 0x32,
  Dismiss: 0x41,
  DismissAck: 0x42,
  Message: 0x51,
  MessageAck: 0x52,
  Stream: 0x61,
  Request: 0x71,
  Response: 0x72,
  RequestCancel: 0x73,
  Register: 0x81,
  RegisterAck: 0x82,
} as const;

/** A type of packet by its name. */
export type PacketType = keyof typeof PACKET_CODES;

/** Bytes of the header in front of each payload. */
export const HEADER_BYTES = 14;

/** Version byte of each frame; not checked on receipt, as existing peers do not check it. */
export const VERSION_BYTE = 1;

/**
 * Longest payload that peers accept, bytes (10 MiB). Existing peers close the connection at one
 * byte more, so nothing longer is sent either.
 */
export const MAX_PAYLOAD_BYTES = 10 * 1024 * 1024;

/** The session that exists on both sides as soon as a connection is accepted; calls use it. */
export const MAIN_SESSION = 1n;

/** Flag of {@linkcode ConnPacket}: the server picks the client's id. */
export const FLAG_ACQUIRE_ID = 0x08;

/** `ret` of an acknowledgement: accepted. */
export const RET_OK = 0;

/** `ret` of an acknowledgement: refused, the body's `error` says why. */
export const RET_ERROR = 1;

/** `cancel` of {@linkcode RequestCancelPacket}: the caller does not want the answer any more. */
export const CANCELLED = 1;

/** The JSON body of connection packets. Absent and empty are the same on the wire. */
export interface ConnBody {
  meta?: Uint8Array;
  error?: string;
}

/** The JSON body of session packets. */
export interface SessionBody {
  meta?: Uint8Array;
  error?: string;
  peer?: string;
}

/** The JSON body of {@linkcode RegisterAckPacket}. */
export interface RegisterBody {
  error?: string;
}

/**
 * The JSON body of messages, requests and responses. Deadlines are RFC 3339 texts, kept as they
 * came: they carry nanoseconds, which a `Date` would lose.
 */
export interface DataBody {
  key?: Uint8Array;
  value?: Uint8Array;
  topic?: string;
  custom?: Uint8Array;
  error?: string;
  /** Nanoseconds; no known peer sets it. */
  timeout?: number;
  deadline?: string;
  contextDeadline?: string;
}

interface Typed<T extends PacketType> {
  readonly type: T;
  readonly packetId: bigint;
}

interface InSession<T extends PacketType> extends Typed<T> {
  readonly sessionId: bigint;
}

interface Answer<T extends PacketType> extends Typed<T> {
  readonly ret: number;
  readonly body: ConnBody;
}

/** First packet of a client: who it is. */
export interface ConnPacket extends Typed<"Conn"> {
  readonly flags: number;
  readonly wantedId: bigint;
  readonly body: ConnBody;
}

/** The server's answer to {@linkcode ConnPacket}. */
export interface ConnAckPacket extends Answer<"ConnAck"> {
  readonly clientId: bigint;
}

/** Ends the connection; the other side answers with its own. */
export type DisConnPacket = Typed<"DisConn">;
/** Acknowledges {@linkcode DisConnPacket}. */
export type DisConnAckPacket = Answer<"DisConnAck">;
/** Sent by clients so that the server knows that they live. */
export type HeartbeatPacket = Typed<"Heartbeat">;
/** The server's answer to {@linkcode HeartbeatPacket}. */
export type HeartbeatAckPacket = Typed<"HeartbeatAck">;

/** Asks for a further session; this project refuses it. */
export interface SessionPacket extends Typed<"Session"> {
  readonly priority: number;
  readonly flags: number;
  readonly negotiateId: bigint;
  readonly body: SessionBody;
}

/** Answer to {@linkcode SessionPacket}. */
export interface SessionAckPacket extends Typed<"SessionAck"> {
  readonly negotiateId: bigint;
  readonly sessionId: bigint;
  readonly body: SessionBody;
}

/** Ends a session. */
export interface DismissPacket extends InSession<"Dismiss"> {
  readonly body: SessionBody;
}

/** Acknowledges {@linkcode DismissPacket}. */
export interface DismissAckPacket extends InSession<"DismissAck"> {
  readonly body: SessionBody;
}

interface WithData<T extends PacketType> extends InSession<T> {
  readonly body: DataBody;
}

/** A message of a topic; not used for upgrades. */
export type MessagePacket = WithData<"Message">;
/** Answer to {@linkcode MessagePacket}. */
export type MessageAckPacket = WithData<"MessageAck">;
/** A call: the method in `key`, the body in `value`. */
export type RequestPacket = WithData<"Request">;
/** Answer to {@linkcode RequestPacket}: `value`, or `error`. */
export type ResponsePacket = WithData<"Response">;

/** Raw bytes of a session; not used for upgrades. */
export interface StreamPacket extends InSession<"Stream"> {
  readonly data: Uint8Array;
}

/** Takes a {@linkcode RequestPacket} back. Older peers drop the connection at it. */
export interface RequestCancelPacket extends InSession<"RequestCancel"> {
  readonly cancel: number;
}

/** Announces a method that the sender answers. */
export interface RegisterPacket extends InSession<"Register"> {
  readonly method: string;
}

/** Answer to {@linkcode RegisterPacket}. */
export interface RegisterAckPacket extends InSession<"RegisterAck"> {
  readonly body: RegisterBody;
}

/** Any packet. */
export type Packet =
  | ConnPacket
  | ConnAckPacket
  | DisConnPacket
  | DisConnAckPacket
  | HeartbeatPacket
  | HeartbeatAckPacket
  | SessionPacket
  | SessionAckPacket
  | DismissPacket
  | DismissAckPacket
  | MessagePacket
  | MessageAckPacket
  | RequestPacket
  | ResponsePacket
  | StreamPacket
  | RequestCancelPacket
  | RegisterPacket
  | RegisterAckPacket;
