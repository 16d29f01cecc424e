import { assert, assertEquals, assertThrows } from "@std/assert";
import { ProtocolError } from "../../lib/cli/errors.ts";
import { encodePacket } from "../../lib/tunnel/codec.ts";
import { MAX_PAYLOAD_BYTES, type Packet } from "../../lib/tunnel/packet.ts";
import { PacketReader } from "../../lib/tunnel/reader.ts";
import { join, mutated } from "./support/mutate.ts";
import { Random, testSeed } from "./support/random.ts";
import { loadCapture } from "./support/vectors.ts";

const NORMAL = loadCapture("edge-leg-normal");
const STREAM = join(NORMAL.map((frame) => frame.bytes));
const PACKETS = NORMAL.map((frame) => frame.packet);

/** Reads through a buffer that is overwritten each time, as a connection does. */
function readAll(reader: PacketReader, chunks: Iterable<Uint8Array>): Packet[] {
  const packets: Packet[] = [];
  for (const chunk of chunks) {
    const buffer = chunk.slice();
    packets.push(...reader.read(buffer));
    buffer.fill(0xee);
  }
  return packets;
}

Deno.test("a stream gives the same packets wherever it is split in two", () => {
  for (let at = 0; at <= STREAM.length; at++) {
    const parts = [STREAM.subarray(0, at), STREAM.subarray(at)];
    assertEquals(readAll(new PacketReader(), parts), PACKETS, `split at ${at}`);
  }
});

Deno.test("a stream gives the same packets byte by byte", () => {
  const bytes = Array.from(STREAM, (byte) => Uint8Array.of(byte));
  assertEquals(readAll(new PacketReader(), bytes), PACKETS);
});

Deno.test("a long packet comes through in pieces of any size", () => {
  const data = new Random(7).bytes(200_000);
  const packet: Packet = { type: "Stream", packetId: 1n, sessionId: 1n, data };
  const frame = encodePacket(packet);
  for (const size of [1, 13, 14, 15, 4_095, 4_096, 4_097, 65_536, frame.length]) {
    const pieces = Array.from(
      { length: Math.ceil(frame.length / size) },
      (_, i) => frame.subarray(i * size, (i + 1) * size),
    );
    const reader = new PacketReader();
    assertEquals(readAll(reader, pieces), [packet], `pieces of ${size}`);
    assertEquals(reader.missing, 0);
  }
});

Deno.test("the version byte is not looked at", () => {
  const frame = encodePacket({ type: "Heartbeat", packetId: 7n });
  frame[0] = 2;
  assertEquals(readAll(new PacketReader(), [frame]), [{ type: "Heartbeat", packetId: 7n }]);
});

Deno.test("packets in front of a broken one are delivered, nothing after it", () => {
  const good = encodePacket({ type: "Heartbeat", packetId: 7n });
  const bad = good.slice();
  bad[1] = 0x99;
  const reader = new PacketReader();
  const packets = reader.read(join([good, bad, good]));
  assertEquals(packets.next().value, { type: "Heartbeat", packetId: 7n });
  assertThrows(() => packets.next(), ProtocolError, "unknown packet type 0x99");
  assertThrows(() => reader.read(good).next(), ProtocolError, "broken before");
});

Deno.test("a header that announces more than the limit is refused before its payload", () => {
  const header = encodePacket({ type: "Heartbeat", packetId: 7n });
  const announce = (bytes: number) => {
    new DataView(header.buffer).setUint32(10, bytes);
    header[1] = 0x71;
    return header;
  };
  assertEquals(readAll(new PacketReader(), [announce(MAX_PAYLOAD_BYTES)]), []);
  assertThrows(
    () => readAll(new PacketReader(), [announce(MAX_PAYLOAD_BYTES + 1)]),
    ProtocolError,
    "limit",
  );
  assertThrows(() => readAll(new PacketReader(100), [announce(101)]), ProtocolError, "limit");
});

Deno.test("an announced payload costs memory only as its bytes arrive", () => {
  const header = encodePacket({ type: "Heartbeat", packetId: 7n });
  new DataView(header.buffer).setUint32(10, MAX_PAYLOAD_BYTES);
  header[1] = 0x61;
  const before = Deno.memoryUsage();
  const readers = Array.from({ length: 1_000 }, () => new PacketReader());
  for (const reader of readers) readAll(reader, [header, Uint8Array.of(1)]);
  const after = Deno.memoryUsage();
  const grown = after.heapUsed + after.external - before.heapUsed - before.external;
  assertEquals(readers[999]?.missing, MAX_PAYLOAD_BYTES - 1);
  assert(grown < 100_000_000, `1000 connections that announce 10 MiB each took ${grown} bytes`);
});

Deno.test("deeply nested JSON ends in a protocol error or a packet, not in a crash", () => {
  for (const text of ["[".repeat(1e6), `{"x":${"[".repeat(1e5)}${"]".repeat(1e5)}}`]) {
    const data = new TextEncoder().encode(text);
    const frame = encodePacket({ type: "Stream", packetId: 1n, sessionId: 1n, data });
    frame[1] = 0x71;
    try {
      readAll(new PacketReader(), [frame]);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
    }
  }
});

const seed = testSeed();

Deno.test(`broken streams end in a protocol error or in packets only (seed ${seed})`, () => {
  const rounds = Deno.env.get("ONGRID_TEST_FULL") === "1" ? 100_000 : 10_000;
  const random = new Random(seed);
  let [packets, errors] = [0, 0];
  for (let round = 0; round < rounds; round++) {
    const reader = new PacketReader();
    const bytes = mutated(random, NORMAL);
    try {
      for (let at = 0; at < bytes.length;) {
        const size = 1 + random.below(400);
        packets += readAll(reader, [bytes.subarray(at, at + size)]).length;
        at += size;
      }
    } catch (error) {
      if (!(error instanceof ProtocolError) || error.kind !== "protocol") {
        throw new Error(`seed ${seed}, round ${round}: ${bytes.toHex()}`, { cause: error });
      }
      errors++;
    }
  }
  // Both outcomes are common: the streams are neither all noise nor all intact.
  assert(packets > rounds / 2, `seed ${seed}: only ${packets} packets`);
  assert(errors > rounds / 10, `seed ${seed}: only ${errors} errors`);
});
