import { assertEquals, assertRejects } from "@std/assert";
import { ProtocolError, RemoteError } from "../../lib/cli/errors.ts";
import type { Handler } from "../../lib/tunnel/edge_client.ts";
import { testEdge } from "./support/edge.ts";
import { RawPeer } from "./support/raw_peer.ts";
import { Random } from "./support/random.ts";
import { decode, encode, metaOf, testBroker } from "./support/test_broker.ts";
import { until } from "./support/until.ts";

const NOTHING = new Uint8Array(0);
const echo: Handler = (body) => Promise.resolve(body);

Deno.test("calls are answered in both directions", async () => {
  await using broker = await testBroker();
  await using edge = await testEdge(broker.port, 7, { methods: { echo } });
  assertEquals(edge.edgeId, 7n);
  assertEquals(decode(await edge.call("echo", encode("up"))), "up");
  assertEquals(decode(await broker.call(7n, "echo", encode("down"))), "down");
  assertEquals(await broker.call(7n, "echo", NOTHING), NOTHING);
});

Deno.test("the manager learns which edge calls", async () => {
  await using broker = await testBroker({
    handlers: {
      call: (id, method, body) => Promise.resolve(encode(`${id} ${method} ${decode(body)}`)),
    },
  });
  await using one = await testEdge(broker.port, 1);
  await using two = await testEdge(broker.port, 2);
  assertEquals(decode(await one.call("m", encode("x"))), "1 m x");
  assertEquals(decode(await two.call("m", encode("y"))), "2 m y");
});

Deno.test("error texts arrive verbatim, in both directions", async () => {
  const text = 'stream: <κακό> & \u2028 \n"quoted"';
  const fail = () => Promise.reject(new Error(text));
  await using broker = await testBroker({ handlers: { call: fail } });
  await using edge = await testEdge(broker.port, 7, {
    methods: {
      fail,
      throws: () => {
        throw new Error(text);
      },
      silent: () => Promise.reject(new Error("")),
    },
  });
  for (
    const call of [
      () => edge.call("x", NOTHING),
      () => broker.call(7n, "fail", NOTHING),
      () => broker.call(7n, "throws", NOTHING),
    ]
  ) assertEquals((await assertRejects(call, RemoteError)).message, text);
  // An empty text would look like success.
  const silent = await assertRejects(() => broker.call(7n, "silent", NOTHING), RemoteError);
  assertEquals(silent.message, "Error");
});

Deno.test("a method that is not there is `no such rpc`, inherited names included", async () => {
  await using broker = await testBroker();
  await using _edge = await testEdge(broker.port, 7, { methods: { echo } });
  for (const method of ["x", "toString", "__proto__", "constructor"]) {
    const error = await assertRejects(() => broker.call(7n, method, NOTHING), RemoteError);
    assertEquals(error.message, `no such rpc: ${method}`);
  }
  const long = await assertRejects(() => broker.call(7n, "y".repeat(1e6), NOTHING), RemoteError);
  assertEquals(long.message, `no such rpc: ${"y".repeat(256)}`);
});

Deno.test("bodies of a megabyte arrive whole in both directions", async () => {
  const body = new Random(1).bytes(1_000_000);
  await using broker = await testBroker();
  await using edge = await testEdge(broker.port, 7, { methods: { echo } });
  assertEquals(await edge.call("echo", body), body);
  assertEquals(await broker.call(7n, "echo", body), body);
});

Deno.test("a body that is too long fails its own call and nothing else", async () => {
  await using broker = await testBroker();
  await using edge = await testEdge(broker.port, 7, {
    methods: { echo, huge: () => Promise.resolve(new Uint8Array(8_000_000)) },
  });
  const tooLong = await assertRejects(
    () => broker.call(7n, "echo", new Uint8Array(8_000_000)),
    ProtocolError,
    "the limit is 10485760",
  );
  assertEquals(tooLong.kind, "protocol");
  await assertRejects(() => broker.call(7n, "huge", NOTHING), RemoteError, "the limit is 10485760");
  assertEquals(decode(await edge.call("echo", encode("fine"))), "fine");
});

Deno.test("a hundred calls at once are answered in the order they finish", async () => {
  const gates = Array.from({ length: 100 }, () => Promise.withResolvers<void>());
  const wait: Handler = async (body) => {
    await gates[Number(decode(body))]?.promise;
    return body;
  };
  await using broker = await testBroker();
  await using _edge = await testEdge(broker.port, 7, { methods: { wait } });
  const finished: string[] = [];
  const calls = gates.map((_, i) =>
    broker.call(7n, "wait", encode(`${i}`)).then((body) => finished.push(decode(body)))
  );
  for (const i of gates.keys()) {
    gates[99 - i]?.resolve();
    await until(`call ${99 - i}`, () => finished.length === i + 1);
  }
  await Promise.all(calls);
  assertEquals(finished, gates.map((_, i) => `${99 - i}`));
});

Deno.test("calls beyond the limits are refused, the others are answered", async () => {
  const gate = Promise.withResolvers<void>();
  await using broker = await testBroker({
    limits: { outgoingCalls: 2, incomingCalls: 2, incomingBytes: 100 },
    handlers: { call: (_id, _method, body) => gate.promise.then(() => body) },
  });
  const wait: Handler = (body) => gate.promise.then(() => body);
  await using edge = await testEdge(broker.port, 7, { methods: { wait } });
  const down = [broker.call(7n, "wait", NOTHING), broker.call(7n, "wait", NOTHING)];
  const refused = await assertRejects(() => broker.call(7n, "wait", NOTHING), ProtocolError);
  assertEquals(refused.kind, "refused");
  const big = await assertRejects(() => edge.call("x", new Uint8Array(101)), RemoteError);
  assertEquals(big.message, "too many requests at once");
  const up = [edge.call("x", NOTHING), edge.call("x", NOTHING)];
  const third = await assertRejects(() => edge.call("x", NOTHING), RemoteError);
  assertEquals(third.message, "too many requests at once");
  gate.resolve();
  assertEquals((await Promise.all([...down, ...up])).length, 4);
  assertEquals(await edge.call("x", encode("room again")), encode("room again"));
});

Deno.test("calls that are over, however they ended, make room for others", async () => {
  await using broker = await testBroker({ limits: { outgoingCalls: 1 } });
  const hang: Handler = () => new Promise<never>(() => {});
  await using _edge = await testEdge(broker.port, 7, { methods: { echo, hang } });
  for (let round = 0; round < 3; round++) {
    await broker.call(7n, "echo", NOTHING);
    await assertRejects(() => broker.call(7n, "none", NOTHING), RemoteError, "no such rpc");
    await assertRejects(() => broker.call(7n, "hang", NOTHING, { timeoutMs: 1 }), Error, "timeout");
    const abort = new AbortController();
    const call = broker.call(7n, "hang", NOTHING, { signal: abort.signal });
    abort.abort(new Error("given up"));
    await assertRejects(() => call, Error, "given up");
  }
});

Deno.test("requests of unknown sessions, streams and answers nobody asked for are dropped", async () => {
  await using broker = await testBroker();
  await using peer = await RawPeer.connect(broker.port);
  await peer.enter(metaOf(7));
  const body = { key: encode("echo") };
  await peer.send(
    { type: "Request", packetId: 1n, sessionId: 0n, body },
    { type: "Request", packetId: 2n, sessionId: 5n, body },
    { type: "Register", packetId: 3n, sessionId: 5n, method: "m" },
    { type: "Stream", packetId: 4n, sessionId: 1n, data: encode("x") },
    { type: "Response", packetId: 5n, sessionId: 1n, body },
    { type: "RegisterAck", packetId: 6n, sessionId: 1n, body: {} },
    { type: "RequestCancel", packetId: 7n, sessionId: 1n, cancel: 1 },
    { type: "HeartbeatAck", packetId: 8n },
    { type: "ConnAck", packetId: 9n, ret: 0, clientId: 1n, body: {} },
    { type: "SessionAck", packetId: 10n, negotiateId: 1n, sessionId: 1n, body: {} },
    { type: "MessageAck", packetId: 11n, sessionId: 1n, body: {} },
    { type: "DismissAck", packetId: 12n, sessionId: 1n, body: {} },
    { type: "Request", packetId: 13n, sessionId: 1n, body },
  );
  assertEquals((await peer.expect("Response")).packetId, 13n);
  assertEquals(peer.inbox, []);
});

Deno.test("messages and further sessions are refused, not left unanswered", async () => {
  await using broker = await testBroker();
  await using peer = await RawPeer.connect(broker.port);
  await peer.enter(metaOf(7));
  await peer.send({ type: "Message", packetId: 1n, sessionId: 1n, body: { topic: "t" } });
  const ack = await peer.expect("MessageAck");
  assertEquals([ack.packetId, ack.body.error], [1n, "topic not online"]);
  for (const [flags, negotiateId] of [[0x10, 5n], [0, 6n], [0x10, 1n]] as const) {
    const body = { peer: "svc" };
    await peer.send({ type: "Session", packetId: 3n, priority: 0, flags, negotiateId, body });
    const refusal = await peer.expect("SessionAck");
    assertEquals([refusal.packetId, refusal.negotiateId], [3n, negotiateId]);
    assertEquals(refusal.body.error, "sessions are not supported");
    // The proposed id, unless that is the main session, which must stay.
    assertEquals(refusal.sessionId === negotiateId, negotiateId !== 1n);
    const dismiss = await peer.expect("Dismiss");
    assertEquals(dismiss.sessionId, refusal.sessionId);
    const { packetId, sessionId } = dismiss;
    await peer.send({ type: "DismissAck", packetId, sessionId, body: {} });
    await peer.send({ type: "Dismiss", packetId: 9n, sessionId, body: {} });
    assertEquals((await peer.expect("DismissAck")).sessionId, sessionId);
  }
  await peer.send({ type: "Request", packetId: 5n, sessionId: 1n, body: { key: encode("echo") } });
  await peer.expect("Response");
  assertEquals(broker.events.length, 1);
});

Deno.test("a request id that is in use already is refused", async () => {
  const gate = Promise.withResolvers<void>();
  await using broker = await testBroker({
    handlers: { call: (_id, _method, body) => gate.promise.then(() => body) },
  });
  await using peer = await RawPeer.connect(broker.port);
  await peer.enter(metaOf(7));
  const request = { type: "Request", packetId: 1n, sessionId: 1n, body: {} } as const;
  await peer.send(request, request);
  assertEquals((await peer.expect("Response")).body.error, "duplicate request id");
  gate.resolve();
  assertEquals((await peer.expect("Response")).body, {});
});
