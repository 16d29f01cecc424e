import { assert, assertEquals, assertThrows } from "@std/assert";
import { ProtocolError } from "../../lib/cli/errors.ts";
import { deadlineMs, deadlineText, decodeDataBody, encodeDataBody } from "../../lib/tunnel/body.ts";
import { decodePacket, encodePacket, packetType } from "../../lib/tunnel/codec.ts";
import {
  HEADER_BYTES,
  MAX_PAYLOAD_BYTES,
  type Packet,
  PACKET_CODES,
  type PacketType,
} from "../../lib/tunnel/packet.ts";
import { PacketIds } from "../../lib/tunnel/packet_id.ts";
import { PacketReader } from "../../lib/tunnel/reader.ts";
import { type Capture, CAPTURES, loadCapture } from "./support/vectors.ts";
import { decode, encode } from "./support/test_broker.ts";

const ALL = Object.keys(CAPTURES) as Capture[];

for (const name of ALL) {
  Deno.test(`capture ${name}: every frame decodes to what it means and encodes back`, () => {
    const frames = loadCapture(name);
    assertEquals(frames.length, CAPTURES[name]);
    for (const { bytes, packet } of frames) {
      assertEquals([...new PacketReader().read(bytes)], [packet]);
      assertEquals(encodePacket(packet).toHex(), bytes.toHex());
    }
  });
}

Deno.test("there are 13 captures with 317 frames", () => {
  assertEquals(ALL.length, 13);
  assertEquals(Object.values(CAPTURES).reduce((sum, count) => sum + count, 0), 317);
});

const BYTES = Uint8Array.of(0, 1, 254, 255);
const BIG = 2n ** 64n - 1n;

/** One of each type, with all of its fields. */
const SAMPLES: { [T in PacketType]: Extract<Packet, { type: T }> } = {
  Conn: { type: "Conn", packetId: BIG, flags: 0x18, wantedId: BIG, body: { meta: BYTES } },
  ConnAck: { type: "ConnAck", packetId: 1n, ret: 1, clientId: BIG, body: { error: "no" } },
  DisConn: { type: "DisConn", packetId: 1n },
  DisConnAck: { type: "DisConnAck", packetId: 1n, ret: 0, body: {} },
  Heartbeat: { type: "Heartbeat", packetId: 1n },
  HeartbeatAck: { type: "HeartbeatAck", packetId: 1n },
  Session: {
    type: "Session",
    packetId: 1n,
    priority: 3,
    flags: 0x10,
    negotiateId: BIG,
    body: { meta: BYTES, error: "e", peer: "p" },
  },
  SessionAck: {
    type: "SessionAck",
    packetId: 1n,
    negotiateId: 5n,
    sessionId: BIG,
    body: { error: "e" },
  },
  Dismiss: { type: "Dismiss", packetId: 1n, sessionId: BIG, body: {} },
  DismissAck: { type: "DismissAck", packetId: 1n, sessionId: BIG, body: {} },
  Message: { type: "Message", packetId: 1n, sessionId: 1n, body: { topic: "t", value: BYTES } },
  MessageAck: { type: "MessageAck", packetId: 1n, sessionId: 1n, body: { error: "e" } },
  Stream: { type: "Stream", packetId: 1n, sessionId: 9n, data: BYTES },
  Request: {
    type: "Request",
    packetId: 1n,
    sessionId: 1n,
    body: {
      key: encode("k"),
      value: BYTES,
      topic: "t",
      custom: BYTES,
      error: "e",
      timeout: 30_000_000_000,
      deadline: "2026-11-22T22:43:29.066342776Z",
      contextDeadline: "2026-11-22T22:43:29+08:00",
    },
  },
  Response: { type: "Response", packetId: 1n, sessionId: 1n, body: {} },
  RequestCancel: { type: "RequestCancel", packetId: 1n, sessionId: 1n, cancel: 0x0102 },
  Register: { type: "Register", packetId: 1n, sessionId: 1n, method: "méthode" },
  RegisterAck: { type: "RegisterAck", packetId: 1n, sessionId: 1n, body: { error: "e" } },
};

Deno.test("each of the 18 types survives encoding and decoding", () => {
  const samples: Packet[] = Object.values(SAMPLES);
  assertEquals(samples.length, 18);
  for (const sample of samples) {
    const frame = encodePacket(sample);
    assertEquals(frame[1], PACKET_CODES[sample.type]);
    assertEquals([...new PacketReader().read(frame)], [sample]);
  }
});

Deno.test("the layouts that no capture shows are those of the existing library", () => {
  const hex = (packet: Packet) => encodePacket(packet).subarray(HEADER_BYTES).toHex();
  const json = (text: string) => encode(text).toHex();
  assertEquals(
    hex({ ...SAMPLES.Session, negotiateId: 7n, body: { peer: "p" } }),
    "0310" + "0000000000000007" + json('{"peer":"p"}'),
  );
  assertEquals(
    hex({ ...SAMPLES.SessionAck, sessionId: 6n, body: {} }),
    "0000" + "0000000000000005" + "0000000000000006" + json("{}"),
  );
  assertEquals(hex(SAMPLES.Stream), "0000000000000009" + "0001feff");
  assertEquals(
    hex(SAMPLES.MessageAck),
    "0000000000000001" +
      json(
        '{"error":"e","deadline":"0001-01-01T00:00:00Z","context":{"deadline":"0001-01-01T00:00:00Z"}}',
      ),
  );
});

Deno.test("a body has its fields in the fixed order, escaped as the existing peers do", () => {
  const body = SAMPLES.Request.body;
  assertEquals(
    decode(encodeDataBody({ ...body, error: 'a<b>&"\\\n\u2028' })),
    '{"key":"aw==","value":"AAH+/w==","topic":"t","custom":"AAH+/w==",' +
      '"error":"a\\u003cb\\u003e\\u0026\\"\\\\\\n\\u2028","timeout":30000000000,' +
      '"deadline":"2026-11-22T22:43:29.066342776Z",' +
      '"context":{"deadline":"2026-11-22T22:43:29+08:00"}}',
  );
});

Deno.test("empty fields are left out, and absent, null and unknown ones are read as absent", () => {
  const empty = encodeDataBody({ key: new Uint8Array(0), topic: "", timeout: 0 });
  assertEquals(decode(empty), decode(encodeDataBody({})));
  for (
    const json of [
      "{}",
      "null",
      '{"key":null,"error":"","deadline":null,"context":null,"timeout":0}',
      '{"context":{"deadline":null},"later":{"x":[1]}}',
      '{"deadline":"0001-01-01T00:00:00Z","context":{"deadline":"0001-01-01T00:00:00Z"}}',
    ]
  ) assertEquals(decodeDataBody(encode(json)), {}, json);
});

Deno.test("bodies that existing peers refuse are protocol errors", () => {
  for (
    const json of [
      "",
      "{",
      "[]",
      '"x"',
      "7",
      "{}{}",
      "\ufeff{}",
      '{"key":7}',
      '{"key":["a"]}',
      '{"error":{}}',
      '{"value":"AAA"}', // no padding
      '{"value":"AA-_"}', // URL-safe
      '{"value":"AA\\nA="}', // white space
      '{"value":"AAB="}', // bits beyond the last byte
      '{"value":"====" }',
      '{"deadline":""}',
      '{"deadline":"tomorrow"}',
      '{"deadline":"2026-13-01T00:00:00Z"}',
      '{"deadline":"2026-01-01T00:00:00"}',
      '{"deadline":7}',
      '{"context":{"deadline":""}}',
      '{"context":[]}',
      '{"timeout":1.5}',
      '{"timeout":"1"}',
    ]
  ) {
    const error = assertThrows(() => decodeDataBody(encode(json)), ProtocolError, "", json);
    assertEquals(error.kind, "protocol");
  }
});

Deno.test("invalid UTF-8 in a text is replaced, not refused", () => {
  const json = Uint8Array.of(...encode('{"error":"'), 0xff, ...encode('"}'));
  assertEquals(decodeDataBody(json), { error: "\ufffd" });
});

Deno.test("a payload that is too short or too long for its type is a protocol error", () => {
  const shortest: Record<PacketType, number> = {
    Conn: 12,
    ConnAck: 11,
    DisConn: 0,
    DisConnAck: 3,
    Heartbeat: 0,
    HeartbeatAck: 0,
    Session: 12,
    SessionAck: 20,
    Dismiss: 10,
    DismissAck: 10,
    Message: 10,
    MessageAck: 10,
    Stream: 8,
    Request: 10,
    Response: 10,
    RequestCancel: 10,
    Register: 8,
    RegisterAck: 10,
  };
  for (const [type, bytes] of Object.entries(shortest) as [PacketType, number][]) {
    // Zeros for the numbers, then "{}".
    const enough = new Uint8Array(bytes);
    if (bytes > 0 && type !== "RequestCancel") enough.set(encode("{}"), bytes - 2);
    assertEquals(decodePacket(type, 1n, enough).type, type);
    for (let length = 0; length < bytes; length++) {
      const broken = () => decodePacket(type, 1n, enough.subarray(0, length));
      assertEquals(assertThrows(broken, ProtocolError).kind, "protocol");
    }
  }
  for (const type of ["DisConn", "Heartbeat", "HeartbeatAck"] as const) {
    assertThrows(() => decodePacket(type, 1n, Uint8Array.of(0)), ProtocolError, "longer");
  }
});

Deno.test("what is decoded does not change when the received bytes are overwritten", () => {
  const payload = encodePacket(SAMPLES.Stream).slice(HEADER_BYTES);
  const packet = decodePacket("Stream", 1n, payload);
  payload.fill(7);
  assertEquals(packet, SAMPLES.Stream);
});

Deno.test("a payload of exactly 10 MiB can be sent, one byte more cannot", () => {
  const stream = (bytes: number) => ({ ...SAMPLES.Stream, data: new Uint8Array(bytes) });
  assertEquals(encodePacket(stream(MAX_PAYLOAD_BYTES - 8)).length, HEADER_BYTES + 10_485_760);
  assertThrows(() => encodePacket(stream(MAX_PAYLOAD_BYTES - 7)), ProtocolError, "10485760");
});

Deno.test("only the 18 type bytes are known", () => {
  const known = Array.from({ length: 256 }, (_, code) => code).filter((code) => packetType(code));
  assertEquals(known, Object.values(PACKET_CODES).sort((a, b) => a - b));
});

Deno.test("deadlines are read to the millisecond and written without trailing zeros", () => {
  const ms = Date.parse("2026-11-22T22:43:29.066Z");
  assertEquals(deadlineMs("2026-11-22T22:43:29.066342776Z"), ms);
  assertEquals(deadlineMs("2026-11-23T06:43:29.066+08:00"), ms);
  assert(Number.isNaN(deadlineMs("2026-11-22 22:43:29Z")));
  assertEquals(deadlineText(ms), "2026-11-22T22:43:29.066Z");
  assertEquals(deadlineText(ms + 34), "2026-11-22T22:43:29.1Z");
  assertEquals(deadlineText(ms - 66), "2026-11-22T22:43:29Z");
  assertEquals(deadlineText(Date.parse("2026-11-22T22:43:30Z")), "2026-11-22T22:43:30Z");
});

Deno.test("packet ids are the seconds and a counter in steps of two that wraps", () => {
  let now = 1_795_387_164_999;
  const ids = new PacketIds(() => now, 0xffff_fffc);
  const seconds = 1_795_387_164n << 32n;
  assertEquals(ids.next(), seconds | 0xffff_fffen);
  assertEquals(ids.next(), seconds);
  now += 1;
  assertEquals(ids.next(), (seconds + (1n << 32n)) | 2n);
});
