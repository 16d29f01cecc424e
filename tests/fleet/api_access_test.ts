import { assertEquals } from "@std/assert";
import { join } from "@std/path";
import { DatabaseSync } from "node:sqlite";
import { Accounts } from "../../lib/fleet/accounts.ts";
import { BundleDirectory } from "../../lib/fleet/bundles.ts";
import { systemEffects } from "../../lib/fleet/effects.ts";
import { managerRoutes } from "../../lib/fleet/http/routes.ts";
import type { Route } from "../../lib/fleet/http/router.ts";
import { PasswordHasher } from "../../lib/fleet/passwords.ts";
import { PushDriver } from "../../lib/fleet/push_driver.ts";
import type { Role } from "../../lib/fleet/records.ts";
import { EdgeRegistry } from "../../lib/fleet/registry.ts";
import { RolloutEngine } from "../../lib/fleet/rollouts.ts";
import { openSqliteStore } from "../../lib/fleet/sqlite/open.ts";
import { Upgrades } from "../../lib/fleet/upgrades.ts";
import { ADMIN, FAST_SETTINGS, startTestManager, TestManager } from "./support/test_manager.ts";

/** The manager's own route table. */
async function routeTable(): Promise<Route[]> {
  const directory = Deno.makeTempDirSync({ prefix: "ongrid-fleet-" });
  const store = openSqliteStore(join(directory, "m.db"));
  const quiet = { info: () => {}, warn: () => {}, error: () => {} };
  const common = { store, effects: systemEffects, log: quiet, settings: FAST_SETTINGS };
  const registry = new EdgeRegistry({ ...common, edges: store.edges });
  const bundles = new BundleDirectory(directory, "v1.0.0");
  const driver = new PushDriver({
    ...common,
    callEdge: () => Promise.reject(new Error("not called")),
    isReady: () => false,
    bundleUrl: () => "",
  });
  const upgrades = new Upgrades({ ...common, bundles, driver });
  const parts = { ...common, registry, bundles, driver, upgrades };
  const routes = managerRoutes({
    ...parts,
    engine: new RolloutEngine({ ...parts, reconnectMs: 0 }),
    accounts: new Accounts({ users: store.users, effects: systemEffects, tokenTtlMs: 1 }),
    bundleDirectory: directory,
    verifyMs: 1,
    checkHealth: () => Promise.resolve(undefined),
    requireReady: () => {},
    dropEdge: () => {},
  });
  await store.close();
  Deno.removeSync(directory, { recursive: true });
  return routes;
}

async function addUser(manager: TestManager, role: Role): Promise<string> {
  const account = { email: `${role}@example.com`, password: "a good password" };
  const store = openSqliteStore(manager.database);
  const passwordHash = await new PasswordHasher(systemEffects).hash(account.password);
  await store.users.add({ email: account.email, passwordHash, role, now: 0 });
  await store.close();
  return await manager.login(account);
}

Deno.test("only health, downloads and the login answer without a token", async () => {
  const routes = await routeTable();
  const open = routes.filter((route) => route.access === "open");
  assertEquals(open.map(({ method, pattern }) => `${method} ${pattern}`), [
    "GET /healthz",
    "GET /readyz",
    "GET /edge/:file",
    "POST /api/v1/auth/login",
  ]);
  await using manager = await startTestManager();
  for (const { method, pattern } of routes.filter((route) => route.access !== "open")) {
    const path = pattern.replaceAll(/:\w+/g, "1");
    const none = await manager.api(method, path, { token: "" });
    assertEquals([path, none.status, none.text], [path, 401, "missing bearer token\n"]);
    const wrong = await manager.api(method, path, { token: "wrong" });
    assertEquals([path, wrong.status, wrong.text], [path, 401, "invalid or expired token\n"]);
  }
});

Deno.test("nothing below /api can be found out without a token", async () => {
  await using manager = await startTestManager();
  for (const path of ["/api/v1/nothing", "/api/", "/api/v1/edges/1/secret"]) {
    assertEquals((await manager.api("GET", path, { token: "" })).status, 401);
    assertEquals((await manager.api("GET", path)).status, 404);
  }
  assertEquals((await manager.api("DELETE", "/api/v1/edges", { token: "" })).status, 401);
  const { status, headers } = await manager.api("DELETE", "/api/v1/edges");
  assertEquals([status, headers.get("allow")], [405, "POST, GET"]);
  assertEquals((await manager.api("GET", "/", { token: "" })).status, 404);
});

Deno.test("a viewer looks, an operator also enrols and pushes, only an administrator deletes", async () => {
  await using manager = await startTestManager();
  await manager.addEdge("a");
  const viewer = await addUser(manager, "viewer");
  const operator = await addUser(manager, "operator");
  const attempts: [string, string, unknown, number, number][] = [
    ["GET", "/api/v1/edges", undefined, 200, 200],
    ["GET", "/api/v1/edges/1/upgrades", undefined, 200, 200],
    ["GET", "/api/v1/rollouts", undefined, 200, 200],
    ["GET", "/api/v1/edge-bundles", undefined, 200, 200],
    ["POST", "/api/v1/edges", { name: "b" }, 403, 201],
    ["POST", "/api/v1/edges/1/upgrade-package", undefined, 403, 200],
    ["POST", "/api/v1/edges/batch/upgrade-package", { ids: [1] }, 403, 200],
    ["POST", "/api/v1/rollouts", { edges: "all" }, 403, 202],
    ["DELETE", "/api/v1/edges/1", undefined, 403, 403],
  ];
  for (const [method, path, body, asViewer, asOperator] of attempts) {
    const seen = await manager.api(method, path, { body, token: viewer });
    assertEquals([path, seen.status], [path, asViewer]);
    if (asViewer === 403) assertEquals(seen.text, "forbidden\n");
    const done = await manager.api(method, path, { body, token: operator });
    assertEquals([path, done.status], [path, asOperator]);
  }
  assertEquals((await manager.api("DELETE", "/api/v1/edges/1")).status, 204);
});

Deno.test("bodies that are too large or malformed are refused", async () => {
  await using manager = await startTestManager();
  const post = (body: string) => manager.api("POST", "/api/v1/edges", { body });
  const bad: [string, number, string][] = [
    [`{"name":"${"x".repeat(70_000)}"}`, 413, "too-large"],
    ["{", 400, "invalid"],
    ["[]", 400, "invalid"],
    ['"x"', 400, "invalid"],
    ['{"name":7}', 400, "invalid"],
    ['{"name":""}', 400, "invalid"],
    ['{"name":"a\\u001b[2J"}', 400, "invalid"],
    [`{"name":"${"x".repeat(129)}"}`, 400, "invalid"],
    [`{"name":${"[".repeat(30_000)}${"]".repeat(30_000)}}`, 400, "invalid"],
  ];
  for (const [body, status, code] of bad) {
    const answer = await post(body);
    assertEquals([body.slice(0, 20), answer.status, answer.body.code], [
      body.slice(0, 20),
      status,
      code,
    ]);
  }
  assertEquals((await manager.api("GET", "/api/v1/edges")).body.total, 0);
});

Deno.test("a body without a declared length is bounded as well", async () => {
  await using manager = await startTestManager();
  let sent = 0;
  const endless = new ReadableStream({
    pull(controller) {
      sent++;
      controller.enqueue(new Uint8Array(16 * 1024).fill(0x20));
    },
  });
  const response = await fetch(`${manager.url}/api/v1/edges`, {
    method: "POST",
    headers: { authorization: `Bearer ${manager.token}` },
    body: endless,
  });
  assertEquals(response.status, 413);
  await response.body?.cancel();
  assertEquals(sent < 1000, true);
});

Deno.test("ids that are none, and edges that are not there, are told apart", async () => {
  await using manager = await startTestManager();
  const ids: [string, number, string][] = [
    ["0", 400, "invalid"],
    ["-1", 400, "invalid"],
    ["1e3", 400, "invalid"],
    ["9223372036854775808", 400, "invalid"],
    ["9223372036854775807", 404, "not-found"],
    ["7", 404, "not-found"],
  ];
  for (const [id, status, code] of ids) {
    for (
      const [method, path] of [
        ["GET", `/api/v1/edges/${id}`],
        ["DELETE", `/api/v1/edges/${id}`],
        ["POST", `/api/v1/edges/${id}/upgrade-package`],
        ["GET", `/api/v1/rollouts/${id}`],
      ] as const
    ) {
      const answer = await manager.api(method, path);
      assertEquals([path, answer.status, answer.body.code], [path, status, code]);
    }
  }
});

Deno.test("edges are listed by page, by state and by part of a name", async () => {
  await using manager = await startTestManager();
  for (const name of ["web-1", "web-2", "db-1"]) await manager.addEdge(name);
  await manager.enrol("new");
  const list = async (query: string) => {
    const { body } = await manager.api("GET", `/api/v1/edges${query}`);
    const names = (body.items as { name: string }[]).map(({ name }) => name);
    return { names, total: body.total, page: body.page, size: body.page_size };
  };
  assertEquals(await list("?page=2&page_size=3"), { names: ["new"], total: 4, page: 2, size: 3 });
  assertEquals((await list("?limit=1&offset=2")).names, ["db-1"]);
  assertEquals((await list("?q=WEB")).names, ["web-1", "web-2"]);
  assertEquals(await list("?status=offline"), { names: ["new"], total: 1, page: 1, size: 1000 });
  assertEquals((await list("")).total, 4);
  assertEquals((await manager.api("GET", "/api/v1/edges?status=x")).status, 400);
  assertEquals((await manager.api("GET", "/api/v1/edges?page=-1")).status, 400);
});

Deno.test("health is ok only while the database answers and edges can connect", async () => {
  await using manager = await startTestManager();
  const health = await manager.api("GET", "/healthz", { token: "" });
  assertEquals([health.status, health.text], [200, "ok\n"]);
  assertEquals((await manager.api("GET", "/readyz", { token: "" })).status, 200);
  using other = new DatabaseSync(manager.database);
  other.exec("ALTER TABLE edges RENAME TO elsewhere");
  assertEquals((await manager.api("GET", "/healthz", { token: "" })).status, 503);
});

Deno.test("a failure inside is not explained to the outside", async () => {
  await using manager = await startTestManager();
  using other = new DatabaseSync(manager.database);
  other.exec("ALTER TABLE rollouts RENAME TO elsewhere");
  const { status, body } = await manager.api("GET", "/api/v1/rollouts");
  assertEquals(status, 500);
  assertEquals(body, {
    error: "internal error; the manager's log says more",
    code: "internal",
  });
  assertEquals(manager.log.some((line) => line.includes("no such table: rollouts")), true);
});

Deno.test("the first administrator's password is made up and told once when none is given", async () => {
  await using manager = new TestManager({ admin: { email: ADMIN.email, password: undefined } });
  await manager.startFresh();
  const password = manager.adminPassword;
  assertEquals(password?.length, 24);
  assertEquals((await manager.login({ email: ADMIN.email, password: password ?? "" })).length, 43);
  assertEquals(manager.log.some((line) => line.includes(password ?? "")), false);
});

/** Sends bytes as they are, leaves, and returns the first line of the answer. */
async function sendRaw(manager: TestManager, request: string): Promise<string> {
  const { hostname, port } = new URL(manager.url);
  using connection = await Deno.connect({ hostname, port: Number(port) });
  await connection.write(new TextEncoder().encode(request));
  await connection.closeWrite();
  const buffer = new Uint8Array(1024);
  const read = await connection.read(buffer) ?? 0;
  return new TextDecoder().decode(buffer.subarray(0, read)).split("\r\n")[0] ?? "";
}

Deno.test("requests that are none are the client's error, and leave no error in the log", async () => {
  await using manager = await startTestManager();
  const badHost = "GET /healthz HTTP/1.1\r\nHost: [\r\n\r\n";
  assertEquals(await sendRaw(manager, badHost), "HTTP/1.1 400 Bad Request");
  const cutShort = 'POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n{"a"';
  await sendRaw(manager, cutShort);
  await manager.stop();
  const errors = manager.log.filter((line) => /Cannot answer|auth\/login:/.test(line));
  assertEquals(errors, []);
});
