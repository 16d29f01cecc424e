import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { OngridError } from "../../lib/cli/errors.ts";
import { startBroker } from "../../lib/tunnel/broker.ts";
import { encodePacket } from "../../lib/tunnel/codec.ts";
import type { Packet } from "../../lib/tunnel/packet.ts";
import { FakeClock } from "./support/fake_clock.ts";
import { RawPeer } from "./support/raw_peer.ts";
import { encode, metaOf, testBroker } from "./support/test_broker.ts";
import { soon, until } from "./support/until.ts";

function introduction(peer: RawPeer, meta: Uint8Array, flags = 0x18, wantedId = 0n): Packet {
  return { type: "Conn", packetId: peer.id(), flags, wantedId, body: { meta } };
}

/** Introduces itself, expects to be refused and says goodbye in order. */
async function refusal(port: number, meta: Uint8Array, flags?: number, wantedId?: bigint) {
  await using peer = await RawPeer.connect(port);
  await peer.send(introduction(peer, meta, flags, wantedId));
  const ack = await peer.expect("ConnAck");
  const bye = await peer.expect("DisConn");
  assertEquals([ack.ret, ack.clientId], [1, 0n]);
  await peer.send({ type: "DisConnAck", packetId: bye.packetId, ret: 0, body: {} });
  await peer.send({ type: "DisConn", packetId: peer.id() });
  await peer.expect("DisConnAck");
  await peer.end();
  return ack.body.error;
}

Deno.test("an edge is asked for by its meta, reported online, and then let in", async () => {
  const order: string[] = [];
  await using broker = await testBroker({
    handlers: {
      getEdgeId: (meta) => {
        order.push(`get_edge_id ${new TextDecoder().decode(meta)}`);
        return Promise.resolve(2n ** 64n - 1n);
      },
      edgeOnline: ({ edgeId, net, address, meta }) => {
        order.push(`edge_online ${edgeId} ${net} ${meta.length}`);
        assertMatch(address, /^127\.0\.0\.1:\d+$/);
        return Promise.resolve();
      },
    },
  });
  await using peer = await RawPeer.connect(broker.port);
  // The wanted id is not looked at when the broker is asked to choose.
  assertEquals(await peer.enter(encode("{}"), 0x18, 99n), 2n ** 64n - 1n);
  assertEquals(order, ["get_edge_id {}", "edge_online 18446744073709551615 tcp 2"]);
});

Deno.test("the manager's refusal goes to the edge verbatim, then DisConn", async () => {
  await using broker = await testBroker({
    handlers: { edgeOnline: () => Promise.reject(new Error("nicht <heute> & nie")) },
  });
  assertEquals(await refusal(broker.port, metaOf(1, "wrong")), "unauthorized");
  assertEquals(await refusal(broker.port, metaOf(1)), "nicht <heute> & nie");
  assertEquals(broker.events, []);
});

Deno.test("a refused edge that says nothing more is cut off", async () => {
  const clock = new FakeClock();
  await using broker = await testBroker({ clock });
  await using peer = await RawPeer.connect(broker.port);
  await peer.send(introduction(peer, metaOf(1, "wrong")));
  await peer.expect("ConnAck");
  await peer.expect("DisConn");
  await clock.advance(2_000);
  await peer.end();
});

Deno.test("an edge that claims an id must be that edge", async () => {
  await using broker = await testBroker();
  const claims = 0x10; // the acquire flag is clear
  assertEquals(await refusal(broker.port, metaOf(1), claims, 2n), "edge id mismatch");
  assertEquals(await refusal(broker.port, metaOf(1, "wrong"), claims, 1n), "unauthorized");
  assertEquals(broker.events, []);
  await using peer = await RawPeer.connect(broker.port);
  assertEquals(await peer.enter(metaOf(1), claims, 1n), 1n);
});

Deno.test("an id that is none is refused", async () => {
  for (const id of [0n, -1n, 2n ** 64n]) {
    await using broker = await testBroker({ handlers: { getEdgeId: () => Promise.resolve(id) } });
    assertEquals(await refusal(broker.port, metaOf(1)), "illegal edgeID");
  }
});

Deno.test("packets in front of the introduction are dropped, the connection stays", async () => {
  await using broker = await testBroker();
  await using peer = await RawPeer.connect(broker.port);
  await peer.send(
    { type: "Heartbeat", packetId: 1n },
    { type: "Register", packetId: 2n, sessionId: 1n, method: "x" },
    { type: "Request", packetId: 3n, sessionId: 1n, body: { key: encode("echo") } },
  );
  assertEquals(await peer.enter(metaOf(7)), 7n);
  assertEquals(peer.inbox, []);
});

Deno.test("what an edge sends together with its introduction is handled after it", async () => {
  await using broker = await testBroker();
  await using peer = await RawPeer.connect(broker.port);
  const frames = [
    introduction(peer, metaOf(7)),
    { type: "Register", packetId: 2n, sessionId: 1n, method: "x".repeat(100_000) },
    { type: "Request", packetId: 3n, sessionId: 1n, body: { key: encode("echo") } },
  ] as const;
  for (const frame of frames) await peer.sendBytes(encodePacket(frame));
  await peer.expect("ConnAck");
  assertEquals((await peer.expect("RegisterAck")).packetId, 2n);
  assertEquals((await peer.expect("Response")).packetId, 3n);
});

Deno.test("who does not introduce itself in 10 s is cut off", async () => {
  const clock = new FakeClock();
  await using broker = await testBroker({ clock });
  await using peer = await RawPeer.connect(broker.port);
  await until("the connection is there", () => broker.connections === 1);
  await clock.advance(9_000);
  assertEquals(broker.connections, 1);
  await clock.advance(2_000);
  await peer.end();
});

Deno.test("a second introduction ends the connection", async () => {
  await using broker = await testBroker();
  await using peer = await RawPeer.connect(broker.port);
  await peer.enter(metaOf(7));
  await peer.send(introduction(peer, metaOf(7)));
  await peer.end();
  await until("offline", () => broker.events.length === 2);
});

Deno.test("an introduction longer than any access key ends the connection", async () => {
  await using broker = await testBroker();
  await using peer = await RawPeer.connect(broker.port);
  await peer.send(introduction(peer, new Uint8Array(64 * 1024)));
  await peer.end();
});

Deno.test("a manager that does not answer the callbacks refuses after 30 s", async () => {
  for (const stuck of ["getEdgeId", "edgeOnline"] as const) {
    const clock = new FakeClock();
    await using broker = await testBroker({
      clock,
      handlers: { [stuck]: () => new Promise<never>(() => {}) },
    });
    await using peer = await RawPeer.connect(broker.port);
    await peer.send(introduction(peer, metaOf(7)));
    await until("asked", () => clock.pending === 2);
    await clock.advance(30_000);
    assertEquals((await peer.expect("ConnAck")).body.error, "timeout");
    // The manager may yet count it as online, so it hears that it is not.
    const told = broker.events.map((event) => event.split(" ")[0]);
    assertEquals(told, stuck === "edgeOnline" ? ["offline"] : []);
    await peer.expect("DisConn");
    peer.close();
  }
});

Deno.test("an edge that leaves while it is let in is reported offline after online", async () => {
  const online = Promise.withResolvers<void>();
  const asked = Promise.withResolvers<void>();
  await using broker = await testBroker({
    handlers: {
      edgeOnline: () => {
        asked.resolve();
        return online.promise;
      },
    },
  });
  await using peer = await RawPeer.connect(broker.port);
  await peer.send(introduction(peer, metaOf(7)));
  await soon("asked", asked.promise);
  peer.close();
  assertEquals(broker.events, []);
  online.resolve();
  await until("offline", () => broker.events.length === 1);
  await assertRejects(() => broker.call(7n, "x", encode("")), Error, "edge not online");
});

Deno.test("broken packets close the connection without an answer", async () => {
  const heartbeat = encodePacket({ type: "Heartbeat", packetId: 1n });
  const unknown = heartbeat.slice();
  unknown[1] = 0x99;
  const tooLong = heartbeat.slice();
  tooLong[1] = 0x71;
  new DataView(tooLong.buffer).setUint32(10, 10 * 1024 * 1024 + 1);
  const request = encodePacket({
    type: "Request",
    packetId: 1n,
    sessionId: 1n,
    body: { key: encode("echo") },
  });
  const notJson = request.slice();
  notJson[22] = 0x7d;
  const notBase64 = encode(
    new TextDecoder("latin1").decode(request).replace("ZWNobw==", "ZWNob-=="),
  );
  await using broker = await testBroker();
  for (const bytes of [unknown, tooLong, notJson, notBase64]) {
    await using peer = await RawPeer.connect(broker.port);
    await peer.enter(metaOf(7));
    await peer.sendBytes(bytes);
    await peer.end();
    assertEquals(peer.inbox, []);
  }
  await until("all gone", () => broker.connections === 0);
  assertEquals(broker.events.length, 8);
});

Deno.test("connections above the limits are closed at once, and room is given back", async () => {
  await using broker = await testBroker({
    limits: { connectionsPerAddress: 3, handshakesPerAddress: 2 },
  });
  await using first = await RawPeer.connect(broker.port);
  await using second = await RawPeer.connect(broker.port);
  await until("two", () => broker.connections === 2);
  await using third = await RawPeer.connect(broker.port);
  await third.end(); // two handshakes are under way
  await first.enter(metaOf(1));
  await second.enter(metaOf(2));
  await using fourth = await RawPeer.connect(broker.port);
  await fourth.enter(metaOf(3));
  await using fifth = await RawPeer.connect(broker.port);
  await fifth.end(); // three connections
  fourth.close();
  await until("two again", () => broker.connections === 2);
  await using sixth = await RawPeer.connect(broker.port);
  assertEquals(await sixth.enter(metaOf(4)), 4n);
});

Deno.test("all connections together are limited", async () => {
  await using broker = await testBroker({ limits: { connections: 1 } });
  await using first = await RawPeer.connect(broker.port);
  await first.enter(metaOf(1));
  await using second = await RawPeer.connect(broker.port);
  await second.end();
});

Deno.test("a port that is taken is a clear error", async () => {
  await using broker = await testBroker();
  const handlers = { getEdgeId: null, edgeOnline: null, edgeOffline: null, call: null } as never;
  await assertRejects(
    () => startBroker({ hostname: "127.0.0.1", port: broker.port, handlers }),
    OngridError,
    `Cannot listen for edges on 127.0.0.1:${broker.port}`,
  );
});
