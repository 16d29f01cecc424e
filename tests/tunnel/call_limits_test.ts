import { assert, assertEquals, assertRejects } from "@std/assert";
import { ProtocolError } from "../../lib/cli/errors.ts";
import type { CallContext, Handler } from "../../lib/tunnel/edge_client.ts";
import { testEdge } from "./support/edge.ts";
import { FakeClock } from "./support/fake_clock.ts";
import { RawPeer } from "./support/raw_peer.ts";
import { decode, encode, metaOf, testBroker } from "./support/test_broker.ts";
import { soon, until } from "./support/until.ts";

const NOTHING = new Uint8Array(0);

Deno.test("a call that its edge does not answer ends in `timeout`; a late answer is dropped", async () => {
  const clock = new FakeClock();
  await using broker = await testBroker({ clock });
  await using peer = await RawPeer.connect(broker.port);
  await peer.enter(metaOf(7), 0x28);
  for (const [timeoutMs, wait] of [[undefined, 30_000], [45_000, 45_000]] as const) {
    const call = broker.call(7n, "x", NOTHING, timeoutMs === undefined ? {} : { timeoutMs });
    const request = await peer.expect("Request");
    assertEquals(
      request.body.deadline,
      new Date(clock.wall() + wait).toISOString().replace(".000", ""),
    );
    const outcome = assertRejects(() => call, ProtocolError);
    await clock.advance(wait);
    const error = await outcome;
    assertEquals([error.message, error.kind], ["timeout", "timeout"]);
    await peer.send({ type: "Response", packetId: request.packetId, sessionId: 1n, body: {} });
  }
  // No RequestCancel went out, and the connection is well.
  await peer.send({ type: "Heartbeat", packetId: 3n });
  await peer.expect("HeartbeatAck");
});

Deno.test("a call can be given up; the peer is told only when that is switched on", async () => {
  for (const sendCancel of [false, true]) {
    await using broker = await testBroker({ sendCancel });
    await using peer = await RawPeer.connect(broker.port);
    await peer.enter(metaOf(7));
    const abort = new AbortController();
    const call = broker.call(7n, "x", NOTHING, { signal: abort.signal });
    const { packetId } = await peer.expect("Request");
    abort.abort(new Error("the operator went home"));
    await assertRejects(() => call, Error, "the operator went home");
    await peer.send({ type: "Heartbeat", packetId: 3n });
    if (sendCancel) {
      const cancel = await peer.expect("RequestCancel");
      assertEquals([cancel.packetId, cancel.cancel], [packetId, 1]);
    }
    await peer.expect("HeartbeatAck");
    await assertRejects(() => broker.call(7n, "x", NOTHING, { signal: abort.signal }), Error);
    assertEquals(peer.inbox, []);
  }
});

Deno.test("the handler of an edge sees deadline and cancellation, and answers nevertheless", async () => {
  const clock = new FakeClock();
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const contexts: CallContext[] = [];
  const connecting = testEdge(listener.addr.port, 7, {
    clock,
    methods: {
      work: async (_body, context) => {
        contexts.push(context);
        if (!context.signal.aborted) {
          await new Promise((resolve) => context.signal.addEventListener("abort", resolve));
        }
        return encode(context.signal.reason.message);
      },
    },
  });
  await using server = new RawPeer(await listener.accept());
  const conn = await server.expect("Conn");
  await server.send({ type: "ConnAck", packetId: conn.packetId, ret: 0, clientId: 7n, body: {} });
  const register = await server.expect("Register");
  await server.send({ ...register, type: "RegisterAck", body: {} });
  const edge = await connecting;
  const at = (ms: number) => new Date(clock.wall() + ms).toISOString();
  const request = (body: Record<string, unknown>) =>
    server.send({
      type: "Request",
      packetId: 100n + BigInt(contexts.length),
      sessionId: 1n,
      body: { key: encode("work"), ...body },
    });

  await request({ deadline: at(30_000), contextDeadline: at(5_000) });
  await until("the handler runs", () => contexts.length === 1);
  assertEquals(contexts[0]?.deadline, new Date(clock.wall() + 5_000));
  await clock.advance(4_999);
  assert(contexts[0]?.signal.aborted === false);
  await clock.advance(1);
  assertEquals(
    decode((await server.expect("Response")).body.value ?? NOTHING),
    "context deadline exceeded",
  );

  await request({ deadline: at(-1) });
  assertEquals(
    decode((await server.expect("Response")).body.value ?? NOTHING),
    "context deadline exceeded",
  );

  await request({});
  await until("the handler runs", () => contexts.length === 3);
  assertEquals(contexts[2]?.deadline, undefined);
  await server.send({ type: "RequestCancel", packetId: 102n, sessionId: 1n, cancel: 1 });
  assertEquals(decode((await server.expect("Response")).body.value ?? NOTHING), "context canceled");
  server.close();
  await soon("closed", edge.closed);
});

Deno.test("the broker answers for a manager that does not: timeout, deadline, cancel", async () => {
  const clock = new FakeClock();
  const signals: AbortSignal[] = [];
  await using broker = await testBroker({
    clock,
    handlers: {
      call: (_id, _method, _body, { signal }) => {
        signals.push(signal);
        return new Promise<never>(() => {});
      },
    },
  });
  await using peer = await RawPeer.connect(broker.port);
  await peer.enter(metaOf(7), 0x28);
  const ask = (id: bigint, body: Record<string, unknown> = {}) =>
    peer.send({
      type: "Request",
      packetId: id,
      sessionId: 1n,
      body: { key: encode("slow"), ...body },
    });
  const answer = async () => {
    const { packetId, body } = await peer.expect("Response");
    return [packetId, body.error];
  };
  const at = (ms: number) => new Date(clock.wall() + ms).toISOString();
  await ask(1n);
  await ask(2n, { contextDeadline: at(10_000) });
  await ask(3n);
  await until("three", () => signals.length === 3);
  await peer.send({ type: "RequestCancel", packetId: 3n, sessionId: 1n, cancel: 1 });
  assertEquals(await answer(), [3n, "context canceled"]);
  await clock.advance(10_000);
  assertEquals(await answer(), [2n, "context deadline exceeded"]);
  await clock.advance(20_000);
  assertEquals(await answer(), [1n, "timeout"]);
  assert(signals.every((signal) => signal.aborted));
  // The manager is not even asked when the deadline is past.
  await ask(4n, { deadline: at(-1) });
  assertEquals(await answer(), [4n, "context deadline exceeded"]);
  assertEquals(signals.length, 3);
});

Deno.test("closing fails calls in flight on both sides and tells the handlers", async () => {
  const reasons: string[] = [];
  let started = 0;
  const never: Handler = (_body, { signal }) => {
    started++;
    signal.addEventListener("abort", () => reasons.push(signal.reason.message));
    return new Promise<never>(() => {});
  };
  await using broker = await testBroker({
    handlers: { call: (_id, _method, body, context) => never(body, context) },
  });
  const edge = await testEdge(broker.port, 7, { methods: { never } });
  const up = assertRejects(() => edge.call("x", NOTHING), ProtocolError, "force closed");
  const down = assertRejects(
    () => broker.call(7n, "never", NOTHING),
    ProtocolError,
    "force closed",
  );
  await until("both arrive", () => started === 2);
  await edge.close();
  await Promise.all([up, down]);
  await until("both handlers know", () => reasons.length === 2);
  assertEquals(new Set(reasons), new Set(["force closed"]));
  const late = await assertRejects(() => edge.call("x", NOTHING), ProtocolError);
  assertEquals([late.message, late.kind], ["force closed", "closed"]);
});
