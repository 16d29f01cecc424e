import { assert, assertEquals, assertRejects } from "@std/assert";
import { ProtocolError } from "../../lib/cli/errors.ts";
import { FrameWriter } from "../../lib/tunnel/writer.ts";
import { settle } from "./support/fake_clock.ts";
import { RawPeer } from "./support/raw_peer.ts";
import { encode, metaOf, testBroker } from "./support/test_broker.ts";
import { until } from "./support/until.ts";

/** A sink that takes what it is given only when told. */
class Sink {
  readonly writes: Uint8Array[] = [];
  #gate = Promise.withResolvers<number | undefined>();

  async write(bytes: Uint8Array): Promise<number> {
    this.writes.push(bytes.slice());
    const taken = await this.#gate.promise;
    return taken ?? bytes.length;
  }

  /** Finishes the write under way, all of it or a part. */
  async take(bytes?: number): Promise<void> {
    const gate = this.#gate;
    this.#gate = Promise.withResolvers();
    gate.resolve(bytes);
    await settle();
  }

  async fail(): Promise<void> {
    this.#gate.reject(new Deno.errors.BrokenPipe("gone"));
    await settle();
  }
}

function writer(sink: Sink, maxBytes = 1_000_000) {
  const failures: ProtocolError[] = [];
  const onFailure = (error: ProtocolError) => void failures.push(error);
  return { writer: new FrameWriter(sink, { maxBytes, onFailure }), failures };
}

Deno.test("frames sent together go out in one write, in order", async () => {
  const sink = new Sink();
  const { writer: w } = writer(sink);
  w.send(Uint8Array.of(1, 2));
  w.send(Uint8Array.of(3));
  await settle();
  w.send(Uint8Array.of(4));
  w.send(Uint8Array.of(5));
  await sink.take();
  await sink.take();
  await w.flushed();
  assertEquals(sink.writes, [Uint8Array.of(1, 2, 3), Uint8Array.of(4, 5)]);
});

Deno.test("a write that takes only a part is continued", async () => {
  const sink = new Sink();
  const { writer: w } = writer(sink);
  w.send(Uint8Array.of(1, 2, 3, 4));
  await settle();
  await sink.take(1);
  await sink.take(2);
  await sink.take();
  await w.flushed();
  assertEquals(sink.writes.map((write) => write[0]), [1, 2, 4]);
});

Deno.test("large frames are not joined beyond 64 KiB", async () => {
  const sink = new Sink();
  const { writer: w } = writer(sink);
  for (let i = 0; i < 3; i++) w.send(new Uint8Array(40 * 1024));
  await settle();
  for (let i = 0; i < 3; i++) await sink.take();
  await w.flushed();
  assertEquals(sink.writes.map((write) => write.length), [40 * 1024, 40 * 1024, 40 * 1024]);
});

Deno.test("senders that can wait do so above the high-water mark, until it is below", async () => {
  const sink = new Sink();
  const { writer: w } = writer(sink);
  for (let i = 0; i < 5; i++) w.send(new Uint8Array(60 * 1024));
  assert(w.crowded);
  let drained = false;
  w.drained().then(() => drained = true);
  await settle();
  assertEquals(drained, false);
  await sink.take();
  assertEquals([drained, w.crowded], [true, false]);
  w.close();
});

Deno.test("a queue beyond its bound fails once, and frees what it held", async () => {
  const sink = new Sink();
  const { writer: w, failures } = writer(sink, 10_000);
  for (let i = 0; i < 1_000; i++) w.send(new Uint8Array(100));
  assertEquals(failures.map(({ kind }) => kind), ["closed"]);
  assertEquals(w.crowded, false);
  await w.drained();
  assert(sink.writes.length <= 1);
});

Deno.test("a failed write is reported once, and waiting senders go on", async () => {
  const sink = new Sink();
  const { writer: w, failures } = writer(sink);
  for (let i = 0; i < 5; i++) w.send(new Uint8Array(60 * 1024));
  const drained = w.drained();
  await settle();
  await sink.fail();
  await drained;
  await w.flushed();
  w.send(Uint8Array.of(1));
  assertEquals(failures.map(({ kind, message }) => `${kind} ${message}`), [
    "closed Cannot write to the peer",
  ]);
});

/** An edge that sends and never reads. */
function deaf(conn: Deno.Conn): RawPeer {
  return new RawPeer({
    read: () => new Promise<number | null>(() => {}),
    write: (bytes) => conn.write(bytes),
    close: () => conn.close(),
  });
}

Deno.test("an edge that sends and does not read is cut off, its broker stays small", async () => {
  await using broker = await testBroker({ limits: { queuedBytes: 1_000_000 } });
  const conn = await Deno.connect({ hostname: "127.0.0.1", port: broker.port });
  try {
    const edge = deaf(conn);
    await edge.send({
      type: "Conn",
      packetId: 1n,
      flags: 0x18,
      wantedId: 0n,
      body: { meta: metaOf(7) },
    });
    await until("online", () => broker.events.length === 1);
    await assertRejects(async () => {
      for (let id = 3n;; id += 2n) {
        const body = { key: encode("echo"), value: new Uint8Array(50_000) };
        await edge.send({ type: "Request", packetId: id, sessionId: 1n, body });
      }
    }, Error);
    await until("cut off", () => broker.events.length === 2);
  } finally {
    conn.close();
  }
});

Deno.test("calls to an edge that does not read wait instead of filling memory", async () => {
  await using broker = await testBroker();
  const conn = await Deno.connect({ hostname: "127.0.0.1", port: broker.port });
  const edge = deaf(conn);
  await edge.send({
    type: "Conn",
    packetId: 1n,
    flags: 0x18,
    wantedId: 0n,
    body: { meta: metaOf(7) },
  });
  await until("online", () => broker.events.length === 1);
  const before = Deno.memoryUsage().external;
  const body = new Uint8Array(2_000_000);
  const calls = Array.from({ length: 100 }, () => broker.call(7n, "x", body).catch(() => "failed"));
  await settle();
  const grown = Deno.memoryUsage().external - before;
  conn.close();
  assertEquals(new Set(await Promise.all(calls)), new Set(["failed"]));
  assert(grown < 50_000_000, `100 calls of 2 MB each took ${grown} bytes`);
});
