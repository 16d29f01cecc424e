import { assert, assertEquals, assertRejects } from "@std/assert";
import { ProtocolError } from "../../lib/cli/errors.ts";
import { connectEdge } from "../../lib/tunnel/edge_client.ts";
import { testEdge } from "./support/edge.ts";
import { accept, dialogue } from "./support/dialogue.ts";
import { FakeClock } from "./support/fake_clock.ts";
import { decode, encode, testBroker } from "./support/test_broker.ts";
import { soon, until } from "./support/until.ts";

const NOTHING = new Uint8Array(0);

Deno.test("a broker that does not accept in 10 s is given up", async () => {
  const clock = new FakeClock();
  const { server, connecting } = await dialogue({ clock });
  await using _server = server;
  await server.expect("Conn");
  const failed = assertRejects(() => connecting, ProtocolError);
  await clock.advance(10_000);
  assertEquals((await failed).kind, "timeout");
  await server.end();
  assertEquals(clock.pending, 0);
});

Deno.test("a broker that acknowledges no method is given up", async () => {
  const clock = new FakeClock();
  const { server, connecting } = await dialogue({
    clock,
    methods: { a: () => Promise.resolve(NOTHING) },
  });
  await using _server = server;
  await accept(server);
  await server.expect("Register");
  const failed = assertRejects(() => connecting, ProtocolError);
  await clock.advance(10_000);
  assertEquals((await failed).kind, "timeout");
  await server.end();
});

Deno.test("a connection lost in the handshake is an error that says so", async () => {
  for (const bytes of [[], [1, 0x99, ...new Array(12).fill(0)]]) {
    const { server, connecting } = await dialogue();
    await using _server = server;
    await server.expect("Conn");
    if (bytes.length > 0) await server.sendBytes(Uint8Array.from(bytes));
    else server.close();
    const error = await assertRejects(() => connecting, ProtocolError);
    assertEquals(error.kind, bytes.length > 0 ? "protocol" : "closed");
  }
});

Deno.test("the attempt can be given up, and a connection ends in order by the same signal", async () => {
  const early = new AbortController();
  const first = await dialogue({ signal: early.signal });
  await using _first = first.server;
  await first.server.expect("Conn");
  early.abort(new Error("stop"));
  await assertRejects(() => first.connecting, Error, "stop");
  await first.server.end();
  await assertRejects(() => testEdge(1, 7, { signal: early.signal }), Error, "stop");

  const later = new AbortController();
  await using broker = await testBroker();
  const edge = await testEdge(broker.port, 7, { signal: later.signal });
  later.abort();
  assertEquals(await soon("closed", edge.closed), { reason: "closed on this side" });
  await until("offline", () => broker.events.length === 2);
});

Deno.test("nobody listening is a clear error with a hint", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  const error = await assertRejects(
    () => connectEdge({ hostname: "127.0.0.1", port, meta: NOTHING, methods: {} }),
    ProtocolError,
    `Cannot connect to 127.0.0.1:${port}`,
  );
  assertEquals(error.kind, "closed");
  assert(error.hint !== undefined);
});

Deno.test("an edge reconnects after its broker was restarted, and is the same edge", async () => {
  const before = await testBroker();
  const edge = await testEdge(before.port, 7);
  await before.close();
  const { reason } = await soon("closed", edge.closed);
  assertEquals(reason, "The peer closed the connection");
  await using after = await testBroker();
  await using again = await testEdge(after.port, 7);
  assertEquals(again.edgeId, edge.edgeId);
  assertEquals(decode(await again.call("echo", encode("back"))), "back");
});
