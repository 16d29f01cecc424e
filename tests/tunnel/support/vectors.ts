import {
  type DataBody,
  type Packet,
  PACKET_CODES,
  type PacketType,
} from "../../../lib/tunnel/packet.ts";

/** One captured frame. */
export interface Frame {
  /** Seconds since the capture began. */
  readonly at: number;
  /** Which connection. */
  readonly conn: string;
  readonly direction: "c->s" | "s->c";
  /** The whole frame, byte for byte. */
  readonly bytes: Uint8Array;
  /** What it means. */
  readonly packet: Packet;
}

/** Frames in each capture: a file that went missing or empty must not pass unseen. */
export const CAPTURES = {
  "edge-leg-30s-limit": 18,
  "edge-leg-cancel": 13,
  "edge-leg-duplicate-edge": 42,
  "edge-leg-edge-error": 16,
  "edge-leg-no-manager": 4,
  "edge-leg-normal": 32,
  "edge-leg-wrong-secret": 3,
  "service-leg-30s-limit": 36,
  "service-leg-cancel": 31,
  "service-leg-edge-error": 34,
  "service-leg-edge-offline": 22,
  "service-leg-normal": 44,
  "service-leg-wrong-secret": 22,
} as const;

export type Capture = keyof typeof CAPTURES;

/** The frames of a capture, in order. */
export function loadCapture(name: Capture): Frame[] {
  const text = Deno.readTextFileSync(new URL(`../vectors/${name}.json`, import.meta.url));
  return (JSON.parse(text) as RawFrame[]).map((raw) => ({
    at: raw.at_s,
    conn: raw.conn,
    direction: raw.dir,
    bytes: Uint8Array.fromHex(raw.hex),
    packet: toPacket(raw.decoded),
  }));
}

interface RawFrame {
  at_s: number;
  conn: string;
  dir: "c->s" | "s->c";
  hex: string;
  decoded: RawPacket;
}

type RawBody = Record<string, unknown>;
type RawPacket = Record<string, unknown> & { type: string; packet_id: string; body?: RawBody };

/** The description in the file as this project's packet, built without its decoder. */
function toPacket(raw: RawPacket): Packet {
  if (!(raw.type in PACKET_CODES)) throw new Error(`unknown type in capture: ${raw.type}`);
  const type = raw.type as PacketType;
  const packetId = BigInt(raw.packet_id);
  const number = (name: string) => raw[name] as number;
  const id = (name: string) => BigInt(raw[name] as string);
  switch (type) {
    case "Conn":
      return {
        type,
        packetId,
        flags: number("flags"),
        wantedId: id("wanted_client_id"),
        body: body(raw),
      };
    case "ConnAck":
      return { type, packetId, ret: number("ret"), clientId: id("client_id"), body: body(raw) };
    case "DisConnAck":
      return { type, packetId, ret: number("ret"), body: body(raw) };
    case "DisConn":
    case "Heartbeat":
    case "HeartbeatAck":
      return { type, packetId };
    case "Dismiss":
    case "DismissAck":
    case "Request":
    case "Response":
    case "RegisterAck":
      return { type, packetId, sessionId: id("session_id"), body: body(raw) };
    case "RequestCancel":
      return { type, packetId, sessionId: id("session_id"), cancel: number("cancel") };
    case "Register":
      return { type, packetId, sessionId: id("session_id"), method: raw["method"] as string };
    default:
      throw new Error(`no capture has a ${type}`);
  }
}

const ZERO_TIME = "0001-01-01T00:00:00Z";
const BYTES = ["meta", "key", "value", "custom"] as const;

function body(raw: RawPacket): DataBody & { meta?: Uint8Array } {
  const from = raw.body ?? {};
  const to: DataBody & { meta?: Uint8Array } = {};
  for (const name of BYTES) {
    const [text, hex] = [from[`${name}_text`], from[`${name}_hex`]];
    if (typeof text === "string") to[name] = new TextEncoder().encode(text);
    if (typeof hex === "string") to[name] = Uint8Array.fromHex(hex);
  }
  if (typeof from["error"] === "string") to.error = from["error"];
  const deadline = from["deadline"];
  if (typeof deadline === "string" && deadline !== ZERO_TIME) to.deadline = deadline;
  const context = (from["context"] as { deadline?: string } | undefined)?.deadline;
  if (context !== undefined && context !== ZERO_TIME) to.contextDeadline = context;
  return to;
}
