import { assertEquals, assertRejects } from "@std/assert";
import { ProtocolError, RemoteError } from "../../lib/cli/errors.ts";
import { FakeClock } from "./support/fake_clock.ts";
import { RawPeer } from "./support/raw_peer.ts";
import { encode, metaOf, type TestBroker, testBroker } from "./support/test_broker.ts";
import { soon, until } from "./support/until.ts";

async function offline(broker: TestBroker, count = 1): Promise<void> {
  const seen = () => broker.events.filter((event) => event.startsWith("offline")).length;
  await until("offline", () => seen() >= count);
  assertEquals(seen(), count);
}

Deno.test("an edge that closes its socket is offline at once", async () => {
  await using broker = await testBroker();
  await using peer = await RawPeer.connect(broker.port);
  await peer.enter(metaOf(7));
  peer.close();
  await offline(broker);
  const error = await assertRejects(() => broker.call(7n, "x", encode("")), RemoteError);
  assertEquals(error.message, "edge not online");
});

Deno.test("an edge may leave with DisConn alone", async () => {
  await using broker = await testBroker();
  await using peer = await RawPeer.connect(broker.port);
  await peer.enter(metaOf(7));
  await peer.send({ type: "DisConn", packetId: 5n });
  await offline(broker);
  assertEquals((await peer.expect("DisConnAck")).packetId, 5n);
  const bye = await peer.expect("DisConn");
  await peer.send({ type: "DisConnAck", packetId: bye.packetId, ret: 0, body: {} });
  await peer.end();
});

Deno.test("a call whose edge goes away ends in `force closed` at once", async () => {
  await using broker = await testBroker();
  await using peer = await RawPeer.connect(broker.port);
  await peer.enter(metaOf(7));
  const call = broker.call(7n, "x", encode(""));
  await peer.expect("Request");
  peer.close();
  const error = await assertRejects(() => call, ProtocolError);
  assertEquals([error.message, error.kind], ["force closed", "closed"]);
});

Deno.test("silence of twice the announced interval ends a connection, any packet prevents it", async () => {
  for (const [flags, limit] of [[0x08, 10_000], [0x18, 40_000], [0x28, 160_000]] as const) {
    const clock = new FakeClock();
    await using broker = await testBroker({ clock });
    await using peer = await RawPeer.connect(broker.port);
    await peer.enter(metaOf(7), flags);
    await clock.advance(limit - 2_000);
    await peer.send({ type: "Register", packetId: 1n, sessionId: 1n, method: "m" });
    await peer.expect("RegisterAck");
    await clock.advance(limit - 2_000);
    assertEquals(peer.inbox, []);
    await clock.advance(3_000);
    await peer.expect("DisConn");
    await offline(broker);
    // Not answered: the connection is closed nevertheless, not left half dead.
    await clock.advance(2_000);
    await peer.end();
  }
});

Deno.test("bytes that are no whole packet do not count as a sign of life", async () => {
  const clock = new FakeClock();
  await using broker = await testBroker({ clock });
  await using peer = await RawPeer.connect(broker.port);
  await peer.enter(metaOf(7), 0x08);
  for (const byte of [1, 0x21, 0, 0, 0]) {
    await peer.sendBytes(Uint8Array.of(byte));
    await clock.advance(2_000);
  }
  await offline(broker);
});

Deno.test("a heartbeat is answered with the same id", async () => {
  await using broker = await testBroker();
  await using peer = await RawPeer.connect(broker.port);
  await peer.enter(metaOf(7));
  await peer.send({ type: "Heartbeat", packetId: 77n });
  assertEquals((await peer.expect("HeartbeatAck")).packetId, 77n);
});

Deno.test("a newer connection of an edge takes over even when the older one is dead", async () => {
  const clock = new FakeClock();
  await using broker = await testBroker({ clock });
  await using older = await RawPeer.connect(broker.port);
  await older.enter(metaOf(7));
  const lost = broker.call(7n, "x", encode(""));
  lost.catch(() => {});
  await older.expect("Request");
  await using newer = await RawPeer.connect(broker.port);
  await newer.enter(metaOf(7));
  const [on, onAgain, off] = broker.events;
  assertEquals(broker.events.length, 3);
  assertEquals([on?.slice(0, 9), onAgain?.slice(0, 9)], ["online 7 ", "online 7 "]);
  assertEquals(off, on?.replace("online", "offline"));
  // Calls go to the newer one, and calls of the newer one are answered.
  const call = broker.call(7n, "x", encode(""));
  const { packetId } = await newer.expect("Request");
  await newer.send({ type: "Response", packetId, sessionId: 1n, body: {} });
  assertEquals(await call, new Uint8Array(0));
  await newer.send({ type: "Request", packetId: 9n, sessionId: 1n, body: { key: encode("echo") } });
  await newer.expect("Response");
  // The older one is told, does not answer, and is closed.
  await older.expect("Dismiss");
  await clock.advance(2_000);
  await older.end();
  await assertRejects(() => lost, ProtocolError, "force closed");
  await offline(broker);
});

Deno.test("two connections of one edge are let in one after the other", async () => {
  const gates: (() => void)[] = [];
  const order: string[] = [];
  await using broker = await testBroker({
    handlers: {
      edgeOnline: ({ address }) => {
        order.push(`online ${address}`);
        return new Promise((resolve) => gates.push(resolve));
      },
      edgeOffline: ({ address }) => void order.push(`offline ${address}`),
    },
  });
  await using first = await RawPeer.connect(broker.port);
  const firstIn = first.enter(metaOf(7));
  await until("the first is asked for", () => gates.length === 1);
  await using second = await RawPeer.connect(broker.port);
  const secondIn = second.enter(metaOf(7));
  await using other = await RawPeer.connect(broker.port);
  const otherIn = other.enter(metaOf(8));
  await until("another edge does not wait", () => gates.length === 2);
  gates[0]?.();
  await firstIn;
  await until("the second is asked for", () => gates.length === 3);
  gates[1]?.();
  gates[2]?.();
  await Promise.all([secondIn, otherIn]);
  const [one, eight, two, gone] = order;
  assertEquals(order.length, 4);
  assertEquals(gone, one?.replace("online", "offline"));
  assertEquals(new Set([one, eight, two]).size, 3);
});

Deno.test("an edge can be kicked, and comes back", async () => {
  await using broker = await testBroker();
  await using peer = await RawPeer.connect(broker.port);
  await peer.enter(metaOf(7));
  const kicked = broker.kick(7n);
  const dismiss = await peer.expect("Dismiss");
  const { packetId, sessionId } = dismiss;
  await peer.send({ type: "DismissAck", packetId, sessionId, body: {} });
  await peer.send({ type: "Dismiss", packetId: 3n, sessionId: 1n, body: {} });
  assertEquals((await peer.expect("DismissAck")).packetId, 3n);
  const bye = await peer.expect("DisConn");
  await peer.send({ type: "DisConnAck", packetId: bye.packetId, ret: 0, body: {} });
  await peer.send({ type: "DisConn", packetId: 5n });
  await peer.expect("DisConnAck");
  await peer.end();
  assertEquals([await kicked, await broker.kick(7n)], [true, false]);
  await using again = await RawPeer.connect(broker.port);
  await again.enter(metaOf(7));
  assertEquals(broker.events.map((event) => event.split(" ")[0]), ["online", "offline", "online"]);
});

Deno.test("a broker that stops sends its edges away, silent ones after 2 s", async () => {
  const clock = new FakeClock();
  const broker = await testBroker({ clock });
  await using polite = await RawPeer.connect(broker.port);
  await polite.enter(metaOf(1));
  await using silent = await RawPeer.connect(broker.port);
  await silent.enter(metaOf(2));
  await using stranger = await RawPeer.connect(broker.port);
  await until("three", () => broker.connections === 3);
  const closed = broker.close();
  await stranger.end();
  await polite.expect("Dismiss");
  polite.close();
  await silent.expect("Dismiss");
  await clock.advance(2_000);
  await silent.end();
  await closed;
  assertEquals(broker.connections, 0);
  assertEquals(clock.pending, 0);
  await offline(broker, 2);
  await assertRejects(() => RawPeer.connect(broker.port), Deno.errors.ConnectionRefused);
  await broker.close(); // again: nothing happens
});

Deno.test("a broker stops at once though its manager hangs in a callback", async () => {
  const asked = Promise.withResolvers<void>();
  const online = Promise.withResolvers<void>();
  const broker = await testBroker({
    handlers: {
      edgeOnline: () => {
        asked.resolve();
        return online.promise;
      },
    },
  });
  await using peer = await RawPeer.connect(broker.port);
  const body = { meta: metaOf(7) };
  await peer.send({ type: "Conn", packetId: 1n, flags: 0x18, wantedId: 0n, body });
  await soon("asked", asked.promise);
  await soon("closed", broker.close());
  await peer.end();
  assertEquals(broker.events, []);
  online.resolve(); // too late, but the manager counts it as online now
  await until("offline", () => broker.events.length === 1);
});

Deno.test("a manager that fails in edge_offline is named in a warning and harms nobody", async () => {
  await using broker = await testBroker({
    handlers: {
      edgeOffline: () => {
        throw new Error("database is gone");
      },
    },
  });
  await using peer = await RawPeer.connect(broker.port);
  await peer.enter(metaOf(7));
  peer.close();
  await until("a warning", () => broker.warnings.length === 1);
  assertEquals(broker.warnings, ["edge_offline of edge 7 failed: Error: database is gone"]);
  await using again = await RawPeer.connect(broker.port);
  assertEquals(await again.enter(metaOf(7)), 7n);
});
