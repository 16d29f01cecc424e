import { assert, assertEquals } from "@std/assert";
import { ProtocolError } from "../../lib/cli/errors.ts";
import { encodePacket } from "../../lib/tunnel/codec.ts";
import type { Packet } from "../../lib/tunnel/packet.ts";
import { testEdge } from "./support/edge.ts";
import { mutated } from "./support/mutate.ts";
import { Random, testSeed } from "./support/random.ts";
import { RawPeer } from "./support/raw_peer.ts";
import { decode, encode, metaOf, testBroker } from "./support/test_broker.ts";
import { until } from "./support/until.ts";
import { loadCapture } from "./support/vectors.ts";

const FULL = Deno.env.get("ONGRID_TEST_FULL") === "1";
const seed = testSeed();

/** The edge's side of the captures: what a broker is sent. */
const SENT = loadCapture("edge-leg-normal").filter(({ direction }) => direction === "c->s");

Deno.test(`a broker survives broken streams, and its edges do not notice (seed ${seed})`, async () => {
  const random = new Random(seed);
  await using broker = await testBroker({
    handlers: {
      // Edges of the captures have no number for a key; mutated ones may be anything.
      getEdgeId: (meta) => Promise.resolve(decode(meta) === decode(metaOf(7)) ? 7n : 8n),
    },
  });
  await using edge = await testEdge(broker.port, 7);
  for (let round = 0; round < (FULL ? 5_000 : 300); round++) {
    await using peer = await RawPeer.connect(broker.port);
    if (random.below(2) === 0) await peer.enter(metaOf(8));
    const bytes = mutated(random, SENT);
    try {
      await peer.sendBytes(bytes);
    } catch (error) {
      // The broker has had enough before the end; anything else is a failure of the test.
      if (
        !(error instanceof Deno.errors.BrokenPipe || error instanceof Deno.errors.ConnectionReset)
      ) {
        throw new Error(`round ${round}`, { cause: error });
      }
    }
  }
  assertEquals(decode(await edge.call("echo", encode("well"))), "well");
  await until("only the edge is left", () => broker.connections === 1);
  assertEquals(broker.warnings, []);
});

Deno.test(`a client survives broken brokers (seed ${seed})`, async () => {
  const random = new Random(seed);
  const answers = loadCapture("edge-leg-normal").filter(({ direction }) => direction === "s->c");
  for (let round = 0; round < (FULL ? 2_000 : 200); round++) {
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const connecting = testEdge(listener.addr.port, 7);
    connecting.catch(() => {}); // looked at below
    await using server = new RawPeer(await listener.accept());
    if (random.below(2) === 0) {
      const { packetId } = await server.expect("Conn");
      await server.send({ type: "ConnAck", packetId, ret: 0, clientId: 7n, body: {} });
    }
    await server.sendBytes(mutated(random, answers));
    server.close();
    try {
      const edge = await connecting;
      await edge.closed;
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw new Error(`round ${round}`, { cause: error });
    }
  }
});

Deno.test("three hundred edges at once are let in, called, and sent away", async () => {
  const broker = await testBroker();
  const edges = await Promise.all(
    Array.from({ length: 300 }, (_, i) =>
      testEdge(broker.port, i + 1, {
        methods: { name: () => Promise.resolve(encode(`edge ${i + 1}`)) },
      })),
  );
  const names = await Promise.all(
    edges.map((edge) => broker.call(edge.edgeId, "name", new Uint8Array(0)).then(decode)),
  );
  assertEquals(names, edges.map((_, i) => `edge ${i + 1}`));
  await broker.close();
  await Promise.all(edges.map((edge) => edge.closed));
  assertEquals(broker.events.length, 600);
});

Deno.test("an idle connection keeps less than 10 KB alive in its broker", async () => {
  // In a process of its own: only the broker's memory is measured.
  const count = FULL ? 5_000 : 1_000;
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "-A",
      "--v8-flags=--expose-gc",
      new URL("./support/idle_broker.ts", import.meta.url).pathname,
    ],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const lines = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const input = child.stdin.getWriter();
  const ask = async () => {
    await input.write(encode("\n"));
    return Number((await lines.read()).value);
  };
  const port = Number((await lines.read()).value);
  const peers: Deno.Conn[] = [];
  const enter = async (id: number) => {
    const conn = await Deno.connect({ hostname: "127.0.0.1", port });
    peers.push(conn);
    const body = { meta: metaOf(id) };
    const hello: Packet = { type: "Conn", packetId: 1n, flags: 0x18, wantedId: 0n, body };
    await conn.write(encodePacket(hello));
    await conn.read(new Uint8Array(100));
  };
  try {
    for (let id = 1; id <= 100; id++) await enter(id);
    const before = await ask();
    for (let id = 101; id <= 100 + count; id++) await enter(id);
    const each = (await ask() - before) / count;
    assert(each < 10_000, `${each} bytes a connection`);
  } finally {
    for (const peer of peers) peer.close();
    await input.close();
    await lines.cancel();
    await child.status;
  }
});
