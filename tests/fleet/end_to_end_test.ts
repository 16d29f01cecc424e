import { assertEquals, assertRejects } from "@std/assert";
import { join } from "@std/path";
import { ProtocolError } from "../../lib/cli/errors.ts";
import type { JsonObject } from "../../lib/fleet/values.ts";
import { startBroker } from "../../lib/tunnel/broker.ts";
import { connectEdge, type EdgeConnection } from "../../lib/tunnel/edge_client.ts";
import { eventually } from "./support/eventually.ts";
import { TestManager } from "./support/test_manager.ts";

type Credentials = { access_key: string; secret_key: string };

const encode = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));
const decode = (bytes: Uint8Array): JsonObject => JSON.parse(new TextDecoder().decode(bytes));

/** A manager with the real embedded broker, on the same port after each start. */
class WiredManager extends TestManager {
  port = 0;

  constructor() {
    super({
      publicUrl: undefined,
      reconnectMs: 60_000,
      openGateway: async (handlers) => {
        const broker = await startBroker({ hostname: "127.0.0.1", port: this.port, handlers });
        this.port = broker.port;
        return broker;
      },
    });
  }

  async enrolWired(name: string): Promise<WiredEdge> {
    const { body } = await this.api("POST", "/api/v1/edges", { body: { name } });
    const access_key = String(body.access_key_id);
    return new WiredEdge(this, { access_key, secret_key: String(body.secret_key) });
  }
}

/** An edge at the end of a real connection; it really downloads, and it "restarts" by reconnecting. */
class WiredEdge {
  version = "v1.0.0";
  report: JsonObject | undefined;
  /** What becomes of the edge once it is told to restart. */
  comesUp = true;
  readonly calls: string[] = [];
  readonly downloads: number[] = [];
  readonly #manager: WiredManager;
  readonly credentials: Credentials;
  #connection: EdgeConnection | undefined;
  #restarting: Promise<void> = Promise.resolve();
  #staged = "";

  constructor(manager: WiredManager, credentials: Credentials) {
    this.#manager = manager;
    this.credentials = credentials;
  }

  async connect(credentials: Credentials = this.credentials): Promise<void> {
    this.#connection = await connectEdge({
      hostname: "127.0.0.1",
      port: this.#manager.port,
      meta: encode(credentials),
      methods: {
        fetch_package: async (body) => encode(await this.#fetch(decode(body))),
        apply_package: () => {
          this.calls.push("apply_package");
          this.#restarting = Promise.resolve().then(() => this.#restart());
          return Promise.resolve(encode({ accepted: true }));
        },
      },
    });
    const host_info = { hostname: "h", os: "linux", arch: "amd64", kernel_version: "6" };
    const body = { host_info, agent_version: this.version, upgrade: this.report };
    await this.#connection.call("register_edge", encode(body));
  }

  async close(): Promise<void> {
    await this.#restarting;
    await this.#connection?.close();
  }

  async #fetch({ url, sha256, version }: JsonObject): Promise<JsonObject> {
    this.calls.push("fetch_package");
    const response = await fetch(String(url));
    const bytes = await response.bytes();
    const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
    if (hash !== sha256) throw new Error(`sha256 mismatch (got ${hash}, want ${sha256})`);
    this.downloads.push(bytes.length);
    this.#staged = String(version);
    return { staged_path: "/s", bytes: bytes.length, manifest_files: 1, version };
  }

  async #restart(): Promise<void> {
    const failed = { state: "rolled_back", version: this.#staged, reason: "never_healthy: exit 1" };
    if (this.comesUp) this.version = this.#staged;
    else this.report = failed;
    await this.#connection?.close();
    await this.connect();
  }
}

async function addRealBundle(manager: TestManager, version: string): Promise<void> {
  const bytes = crypto.getRandomValues(new Uint8Array(60_000));
  const sha256 = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
  const file = manager.addBundle(version, { sha256 });
  Deno.writeFileSync(join(manager.bundles, file), bytes);
}

function ended(manager: TestManager, id: unknown): Promise<JsonObject> {
  return eventually(`rollout ${id} ends`, async () => {
    const { body } = await manager.api("GET", `/api/v1/rollouts/${id}`);
    return body.state === "running" ? undefined : body;
  });
}

Deno.test("over a real connection: a fleet is upgraded, one edge falls back and says why", async () => {
  await using manager = new WiredManager();
  await addRealBundle(manager, "v2.0.0");
  await manager.start();
  const edges = [];
  for (const name of ["a", "b", "c"]) edges.push(await manager.enrolWired(name));
  await Promise.all(edges.map((edge) => edge.connect()));
  const [, broken] = edges;
  if (broken !== undefined) broken.comesUp = false;
  const { body } = await manager.api("POST", "/api/v1/rollouts", { body: { edges: "all" } });
  const rollout = await ended(manager, body.id);
  assertEquals([rollout.state, rollout.counts], ["partial_failed", { healthy: 2, rolled_back: 1 }]);
  assertEquals(edges.map(({ version }) => version), ["v2.0.0", "v1.0.0", "v2.0.0"]);
  assertEquals(edges.map(({ calls }) => calls), Array(3).fill(["fetch_package", "apply_package"]));
  assertEquals(edges.map(({ downloads }) => downloads), Array(3).fill([60_000]));
  const fleet = await manager.api("GET", "/api/v1/edges");
  const reasons = (fleet.body.items as JsonObject[]).map(({ last_upgrade }) =>
    (last_upgrade as JsonObject).reason
  );
  assertEquals(reasons, ["", "never_healthy: exit 1", ""]);
  await Promise.all(edges.map((edge) => edge.close()));
});

Deno.test("over a real connection: a wrong secret and an unknown edge are turned away", async () => {
  await using manager = new WiredManager();
  await manager.start();
  const edge = await manager.enrolWired("a");
  const { access_key, secret_key } = edge.credentials;
  for (const wrong of [{ access_key, secret_key: "x" }, { access_key: "nobody", secret_key }]) {
    const error = await assertRejects(() => edge.connect(wrong), ProtocolError);
    assertEquals([error.kind, error.message], ["refused", "unauthorized"]);
  }
  await edge.connect();
  await edge.close();
});

Deno.test("over a real connection: a wrong checksum is the edge's error, the next attempt works", async () => {
  await using manager = new WiredManager();
  await addRealBundle(manager, "v2.0.0");
  await manager.start();
  const edge = await manager.enrolWired("a");
  await edge.connect();
  const sidecar = join(manager.bundles, "edge-bundle-linux-amd64-v2.0.0.tar.gz.sha256");
  const right = Deno.readTextFileSync(sidecar);
  Deno.writeTextFileSync(sidecar, "0".repeat(64));
  const push = () => manager.api("POST", "/api/v1/edges/1/upgrade-package");
  assertEquals((await push()).body, {
    error: 'fetch_package: frontierbound: call "fetch_package" edge=1 transport=1: ' +
      `sha256 mismatch (got ${right.trim()}, want ${"0".repeat(64)})`,
    code: "internal",
  });
  Deno.writeTextFileSync(sidecar, right);
  assertEquals((await push()).status, 200);
  await eventually("the edge is healthy", async () => {
    const { body } = await manager.api("GET", "/api/v1/edges/1/upgrades");
    return (body.items as JsonObject[])[0]?.phase === "healthy" || undefined;
  });
  await edge.close();
});

Deno.test("over a real connection: a manager restarted in the middle finishes the rollout", async () => {
  await using manager = new WiredManager();
  await addRealBundle(manager, "v2.0.0");
  await manager.start();
  const edges = [];
  for (const name of ["a", "b", "c", "d"]) edges.push(await manager.enrolWired(name));
  for (const edge of edges.slice(0, 2)) await edge.connect();
  const { body } = await manager.api("POST", "/api/v1/rollouts", {
    body: { edges: "all", concurrency: 1 },
  });
  await eventually("the first two are done", async () => {
    const { body: rollout } = await manager.api("GET", `/api/v1/rollouts/${body.id}`);
    return (rollout.counts as JsonObject).healthy === 2 || undefined;
  });
  await manager.stop();
  await manager.start();
  await Promise.all(edges.map((edge) => edge.connect()));
  assertEquals((await ended(manager, body.id)).counts, { healthy: 4 });
  assertEquals(edges.map(({ calls }) => calls), Array(4).fill(["fetch_package", "apply_package"]));
  await Promise.all(edges.map((edge) => edge.close()));
});
