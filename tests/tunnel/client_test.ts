import { assert, assertEquals, assertRejects } from "@std/assert";
import { ProtocolError, RemoteError } from "../../lib/cli/errors.ts";
import type { Handler } from "../../lib/tunnel/edge_client.ts";
import type { TestEdge } from "./support/edge.ts";
import { startHeartbeat } from "../../lib/tunnel/heartbeat.ts";
import { PacketIds } from "../../lib/tunnel/packet_id.ts";
import { accept, dialogue, sayGoodbye } from "./support/dialogue.ts";
import { FakeClock } from "./support/fake_clock.ts";
import { RawPeer } from "./support/raw_peer.ts";
import { decode, encode, metaOf } from "./support/test_broker.ts";
import { soon, until } from "./support/until.ts";

const NOTHING = new Uint8Array(0);

/** Lets time pass until the client has sent something. */
async function pass(clock: FakeClock, server: RawPeer): Promise<void> {
  await until("something is sent", () => {
    if (server.inbox.length === 0) clock.advance(1);
    return server.inbox.length > 0;
  });
}

Deno.test("methods are announced one at a time, each after the other's acknowledgement", async () => {
  const nothing: Handler = () => Promise.resolve(NOTHING);
  const { server, connecting } = await dialogue({ methods: { a: nothing, b: nothing } });
  await using _server = server;
  await accept(server);
  const a = await server.expect("Register");
  assertEquals([a.method, server.inbox], ["a", []]);
  // The broker may call already; the answer does not wait for the second method.
  await server.send({ type: "Request", packetId: 9n, sessionId: 1n, body: { key: encode("b") } });
  await server.expect("Response");
  await server.send({ ...a, type: "RegisterAck", body: {} });
  const b = await server.expect("Register");
  assertEquals(b.method, "b");
  await server.send({ ...b, type: "RegisterAck", body: {} });
  const edge = await connecting;
  assertEquals(edge.edgeId, 7n);
  const closing = edge.close();
  await sayGoodbye(server);
  await closing;
  assertEquals(await edge.closed, { reason: "closed on this side" });
});

Deno.test("answers of handlers that finish about now are written before the goodbye", async () => {
  const gate = Promise.withResolvers<void>();
  const edgeOf = Promise.withResolvers<TestEdge>();
  const { server, connecting } = await dialogue({
    methods: {
      apply: async () => {
        const edge = await edgeOf.promise;
        edge.close(); // not waited for: it waits for this answer
        await gate.promise;
        return encode("accepted");
      },
    },
  });
  await using _server = server;
  await accept(server);
  await server.send({ ...await server.expect("Register"), type: "RegisterAck", body: {} });
  edgeOf.resolve(await connecting);
  await server.send({
    type: "Request",
    packetId: 9n,
    sessionId: 1n,
    body: { key: encode("apply") },
  });
  gate.resolve();
  assertEquals(decode((await server.expect("Response")).body.value ?? NOTHING), "accepted");
  await sayGoodbye(server);
  await (await connecting).closed;
});

Deno.test("a broker that does not answer the goodbye is left after 2 s", async () => {
  const clock = new FakeClock();
  const { server, connecting } = await dialogue({ clock });
  await using _server = server;
  await accept(server);
  const edge = await connecting;
  const closing = edge.close();
  await server.expect("Dismiss");
  await clock.advance(2_000);
  await closing;
  await server.end();
  assertEquals(clock.pending, 0);
});

Deno.test("a handler that goes on and on does not keep the connection from closing", async () => {
  const clock = new FakeClock();
  const started = Promise.withResolvers<void>();
  const { server, connecting } = await dialogue({
    clock,
    methods: {
      work: () => {
        started.resolve();
        return new Promise<never>(() => {});
      },
    },
  });
  await using _server = server;
  await accept(server);
  await server.send({ ...await server.expect("Register"), type: "RegisterAck", body: {} });
  const edge = await connecting;
  await server.send({
    type: "Request",
    packetId: 9n,
    sessionId: 1n,
    body: { key: encode("work") },
  });
  await started.promise;
  const closing = edge.close();
  await clock.advance(500);
  await sayGoodbye(server);
  await closing;
});

Deno.test("`no such rpc` right after the acceptance is asked again, later it is believed", async () => {
  const clock = new FakeClock();
  const { server, connecting } = await dialogue({ clock });
  await using _server = server;
  await accept(server);
  const edge = await connecting;
  const answer = async (body: Record<string, unknown>) => {
    const { packetId } = await server.expect("Request");
    await server.send({ type: "Response", packetId, sessionId: 1n, body });
  };
  const notYet = { error: "no such rpc: register_edge" };
  const call = edge.call("register_edge", NOTHING);
  await answer(notYet);
  await pass(clock, server);
  await answer({ value: encode("welcome") });
  assertEquals(decode(await call), "welcome");

  const other = edge.call("register_edge", NOTHING);
  await answer({ error: "no such rpc: something_else" });
  await assertRejects(() => other, RemoteError, "something_else");

  const never = assertRejects(() => edge.call("register_edge", NOTHING), RemoteError);
  for (let repeats = 0; repeats < 5; repeats++) {
    await answer(notYet);
    await pass(clock, server);
  }
  await answer(notYet);
  await never;

  await clock.advance(1_000);
  const late = edge.call("register_edge", NOTHING);
  await answer(notYet);
  await assertRejects(() => late, RemoteError, "no such rpc: register_edge");
  server.close();
  await edge.closed;
});

Deno.test("a heartbeat goes out each interval; the announced interval is the next larger one", async () => {
  for (
    const [heartbeatMs, flags] of [[1_000, 0x08], [20_000, 0x18], [30_000, 0x28], [
      1e6,
      0x38,
    ]] as const
  ) {
    const clock = new FakeClock();
    const { server, connecting } = await dialogue({ clock, heartbeatMs });
    await using _server = server;
    const conn = await server.expect("Conn");
    assertEquals([conn.flags, conn.wantedId, conn.body.meta], [flags, 0n, metaOf(7)]);
    const { packetId } = conn;
    await server.send({ type: "ConnAck", packetId, ret: 0, clientId: 7n, body: {} });
    const edge = await connecting;
    for (let beats = 0; beats < 5; beats++) {
      await clock.advance(heartbeatMs - 1);
      assertEquals(server.inbox, []);
      await clock.advance(1);
      const beat = await server.expect("Heartbeat");
      await server.send({ type: "HeartbeatAck", packetId: beat.packetId });
      // Answered by the next packet: the acknowledgement has arrived.
      await server.send({ type: "Request", packetId: 9n, sessionId: 1n, body: {} });
      await server.expect("Response");
    }
    server.close();
    await edge.closed;
  }
});

Deno.test("a broker that is silent for more than two intervals is dead", async () => {
  const clock = new FakeClock();
  const { server, connecting } = await dialogue({ clock });
  await using _server = server;
  await accept(server);
  const edge = await connecting;
  const call = edge.call("x", NOTHING, { timeoutMs: 3_600_000 });
  const lost = assertRejects(() => call, ProtocolError, "force closed");
  await server.expect("Request");
  await clock.advance(35_000);
  await server.expect("Heartbeat");
  await server.send({ type: "Request", packetId: 9n, sessionId: 1n, body: {} });
  await server.expect("Response"); // the last sign of life
  let over = false;
  edge.closed.then(() => over = true);
  await clock.advance(40_000);
  assert(!over);
  await clock.advance(10_000);
  const { reason } = await soon("closed", edge.closed);
  assertEquals(reason, "Nothing came from the broker for 45.0 s");
  await lost;
  await server.end();
  assertEquals(clock.pending, 0);
});

Deno.test("for the heartbeat each byte is a sign of life, and time in which nothing ran is none", async () => {
  const clock = new FakeClock();
  const ends: string[] = [];
  const connection = {
    lastBytes: 0,
    send: () => {},
    destroy: (why: ProtocolError) => void ends.push(why.message),
  };
  const ids = new PacketIds(() => 0);
  const stop = startHeartbeat({ clock, intervalMs: 20_000, connection, ids });
  for (let i = 0; i < 10; i++) {
    connection.lastBytes = clock.monotonic();
    await clock.advance(30_000);
  }
  connection.lastBytes = clock.monotonic();
  clock.suspend(3_600_000); // the process was stopped, or the machine asleep
  await clock.advance(20_000);
  assertEquals(ends, []);
  await clock.advance(30_000);
  assertEquals(ends.length, 1);
  stop();
  assertEquals(clock.pending, 0);
});

Deno.test("a kicked edge answers everything and learns why its connection is over", async () => {
  const { server, connecting } = await dialogue();
  await using _server = server;
  await accept(server);
  const edge = await connecting;
  await server.send({ type: "Dismiss", packetId: 3n, sessionId: 1n, body: {} });
  assertEquals((await server.expect("DismissAck")).packetId, 3n);
  const dismiss = await server.expect("Dismiss");
  await server.send({ ...dismiss, type: "DismissAck" }, { type: "DisConn", packetId: 5n });
  assertEquals((await server.expect("DisConnAck")).packetId, 5n);
  const bye = await server.expect("DisConn");
  await server.send({ type: "DisConnAck", packetId: bye.packetId, ret: 0, body: {} });
  await server.end();
  assertEquals(await soon("closed", edge.closed), { reason: "The peer closed the connection" });
});
