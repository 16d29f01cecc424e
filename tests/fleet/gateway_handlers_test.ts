import { assertEquals, assertRejects } from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import type { JsonObject } from "../../lib/fleet/values.ts";
import { FakeEdge } from "./support/fake_gateway.ts";
import { startTestManager, type TestManager } from "./support/test_manager.ts";

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** The text with which an attempt is refused. */
async function refusal(attempt: Promise<unknown>): Promise<string> {
  return (await assertRejects(() => attempt, Error)).message;
}

async function edgeOf(manager: TestManager, edge: FakeEdge): Promise<JsonObject> {
  return (await manager.api("GET", `/api/v1/edges/${edge.id}`)).body;
}

Deno.test("an enrolled edge connects, registers and is shown with what it told", async () => {
  await using manager = await startTestManager();
  const edge = await manager.enrol("a");
  await edge.attach(manager.gateway);
  const before = Math.floor(Date.now() / 1000);
  const answer = await edge.register();
  assertEquals(Object.keys(answer), ["edge_id", "server_time"]);
  assertEquals(answer.edge_id, 1);
  assertEquals(Number(answer.server_time) >= before, true);
  const { status, agent_version, host_info, address } = await edgeOf(manager, edge);
  assertEquals([status, agent_version, host_info, address], [
    "online",
    "v1.0.0",
    edge.host,
    "192.0.2.1:1",
  ]);
});

Deno.test("a wrong secret, an unknown key and an absent one are refused with one text", async () => {
  await using manager = await startTestManager();
  const { credentials } = await manager.enrol("a");
  const wrong = [
    { ...credentials, secret_key: "wrong" },
    { ...credentials, access_key: "unknown" },
    { ...credentials, secret_key: "" },
    { ...credentials, secret_key: "x".repeat(5000).slice(0, 1000) },
    { access_key: credentials.access_key, secret_key: 7 },
    {},
  ];
  for (const meta of wrong) {
    const { getEdgeId } = manager.gateway.handlers;
    const handlers = manager.gateway.handlers;
    const attempt = getEdgeId.call(handlers, bytes(JSON.stringify(meta)));
    assertEquals(await refusal(attempt), "unauthorized");
  }
});

Deno.test("an edge with a wrong secret gets in once it has the right one", async () => {
  await using manager = await startTestManager();
  const edge = await manager.enrol("a");
  const wrong = new FakeEdge({ ...edge.credentials, secret_key: "wrong" }, "v1.0.0");
  assertEquals(await refusal(wrong.connect(manager.gateway)), "unauthorized");
  await edge.connect(manager.gateway);
  assertEquals((await edgeOf(manager, edge)).status, "online");
});

Deno.test("credentials that are no JSON are named as such, without being quoted", async () => {
  await using manager = await startTestManager();
  const { handlers } = manager.gateway;
  const bad = (meta: Uint8Array) => refusal(handlers.getEdgeId(meta));
  assertEquals(await bad(bytes('{"secret_key":"s3cret')), "bad meta: not valid JSON");
  assertEquals(await bad(bytes("[]")), "bad meta: not a JSON object");
  assertEquals(await bad(Uint8Array.of(0xff)), "bad meta: not valid UTF-8");
  assertEquals(await bad(bytes(`"${"x".repeat(5000)}"`)), "bad meta: more than 4096 bytes");
});

Deno.test("an edge that claims another one's id is refused, and the other one stays as it was", async () => {
  await using manager = await startTestManager();
  const victim = await manager.addEdge("victim");
  const liar = await manager.enrol("liar");
  const peer = { edgeId: victim.id, meta: liar.meta, net: "tcp", address: "192.0.2.9:1" };
  const { handlers } = manager.gateway;
  assertEquals(await refusal(handlers.edgeOnline(peer)), "unauthorized");
  handlers.edgeOffline(peer);
  assertEquals((await edgeOf(manager, victim)).status, "online");
});

Deno.test("the end of an old connection does not make an edge offline that is back on a new one", async () => {
  await using manager = await startTestManager();
  const edge = await manager.addEdge("a");
  const old = { edgeId: edge.id, meta: edge.meta, net: "tcp", address: "192.0.2.1:1" };
  await edge.connect(manager.gateway);
  manager.gateway.handlers.edgeOffline(old);
  const { status, address } = await edgeOf(manager, edge);
  assertEquals([status, address], ["online", "192.0.2.1:2"]);
  assertEquals(await edge.call("heartbeat", { ts: 1 }), {});
});

Deno.test("texts that make an existing agent connect anew are exact", async () => {
  await using manager = await startTestManager();
  const edge = await manager.addEdge("a");
  const { handlers } = manager.gateway;
  const context = { signal: new AbortController().signal };
  const call = (id: bigint, method: string, body: string) =>
    refusal(handlers.call(id, method, bytes(body), context));
  assertEquals(
    await call(edge.id, "heartbeat", '{"edge_id":2,"ts":1}'),
    "heartbeat: edge id mismatch",
  );
  assertEquals(
    await call(99n, "heartbeat", '{"edge_id":99,"ts":1}'),
    "heartbeat: edge binding not ready; re-register required",
  );
  assertEquals(await call(99n, "register_edge", "{}"), "register_edge: get edge: not found");
  assertEquals(await call(edge.id, "shell_output", "{}"), "no such rpc: shell_output");
  assertEquals(await call(edge.id, "heartbeat", "{"), "heartbeat: decode: not valid JSON");
});

Deno.test("a heartbeat is answered and shows how far a host is with staging", async () => {
  await using manager = await startTestManager();
  const edge = await manager.addEdge("a");
  const flags = { upgrade_phase: "downloading", upgrade_version: "v2.0.0", upgrade_percent: "40" };
  assertEquals(await edge.call("heartbeat", { edge_id: 1, ts: 1, status_flags: flags }), {});
  const staging = { phase: "downloading", version: "v2.0.0", percent: "40" };
  assertEquals((await edgeOf(manager, edge)).staging, staging);
  assertEquals(await edge.call("heartbeat", { ts: 1 }), {});
  assertEquals((await edgeOf(manager, edge)).staging, null);
});

Deno.test("ids of 64 bits are told apart to the last digit", async () => {
  await using manager = await startTestManager();
  await manager.stop();
  const id = 9007199254740993n;
  {
    using other = new DatabaseSync(manager.database);
    other.prepare("INSERT INTO sqlite_sequence (name, seq) VALUES ('edges', ?)").run(id - 1n);
  }
  await manager.start();
  const edge = await manager.addEdge("big");
  assertEquals(edge.id, id);
  const reply = await manager.gateway.handlers.call(
    id,
    "heartbeat",
    bytes(`{"edge_id":${id},"ts":1}`),
    { signal: new AbortController().signal },
  );
  assertEquals(new TextDecoder().decode(reply), "{}");
  const near = bytes(`{"edge_id":${id - 1n},"ts":1}`);
  const context = { signal: new AbortController().signal };
  const attempt = manager.gateway.handlers.call(id, "heartbeat", near, context);
  assertEquals(await refusal(attempt), "heartbeat: edge id mismatch");
  const { status, body } = await manager.api("GET", `/api/v1/edges/${id}`);
  assertEquals([status, body.id], [200, String(id)]);
  const pushed = await manager.api("POST", `/api/v1/edges/${id}/upgrade-package`);
  assertEquals(pushed.status, 200);
});

Deno.test("telemetry is taken and counted, plugins get no configuration", async () => {
  await using manager = await startTestManager();
  const edge = await manager.addEdge("a");
  assertEquals(await edge.call("push_host_metrics", { points: [1, 2, 3] }), { accepted: 3 });
  assertEquals(await edge.call("push_prom_samples", { samples: [] }), { accepted: 0 });
  assertEquals(await edge.call("get_plugin_configs", {}), { edge_id: 1, configs: {} });
});

Deno.test("what a host says of itself is bounded and free of control characters", async () => {
  await using manager = await startTestManager();
  const edge = await manager.enrol("a");
  edge.version = "v1.0.0\u001b[31m";
  edge.host = { hostname: `x\r\n[INFO] ${"y".repeat(5000)}`, os: 7, cpu_count: "two", more: [1] };
  await edge.connect(manager.gateway);
  const { agent_version, host_info } = await edgeOf(manager, edge);
  assertEquals(agent_version, "v1.0.0[31m");
  const { hostname, ...rest } = host_info as JsonObject;
  assertEquals(String(hostname).length, 256);
  assertEquals(String(hostname).startsWith("x [INFO] yy"), true);
  assertEquals(rest, { os: "", arch: "", kernel_version: "" });
  assertEquals(manager.log.some((line) => /\r|\n/.test(line)), false);
});

Deno.test("an upgrade nobody here pushed is shown as the edge reports it", async () => {
  await using manager = await startTestManager();
  const edge = await manager.addEdge("a");
  const outcome = async () => {
    const { last_upgrade } = await edgeOf(manager, edge);
    const { state, version, reason } = (last_upgrade ?? {}) as JsonObject;
    return { state, version, reason };
  };
  edge.report = { state: "rolled_back", version: "v1.5.0", reason: "verdict: no manager" };
  await edge.register();
  assertEquals(await outcome(), {
    state: "rolled_back",
    version: "v1.5.0",
    reason: "verdict: no manager",
  });
  edge.version = "v1.6.0";
  edge.report = { state: "armed", version: "v1.6.0" };
  await edge.register();
  assertEquals(await outcome(), { state: "healthy", version: "v1.6.0", reason: "" });
});
