import { assert, assertEquals, assertThrows } from "@std/assert";
import { join } from "@std/path";
import { OngridError } from "../../../lib/cli/errors.ts";
import { cleanUp } from "../../../lib/edge/agent/cleanup.ts";
import { type StagedRecord, StageStore } from "../../../lib/edge/agent/store.ts";
import { withKillPoint } from "../../support/kill_points.ts";
import { TestHost } from "./support/host.ts";

const NOW = new Date("2026-01-02T03:04:05Z");
const DAY_MS = 24 * 60 * 60 * 1000;

const record = (version: string, digit = "a"): StagedRecord => ({
  version,
  bundle_sha256: digit.repeat(64),
  staged_at: NOW.toISOString(),
  bytes: 10,
  manifest_files: 1,
});

function unpack(host: TestHost, version: string): void {
  Deno.mkdirSync(join(host.paths.stage, "incoming.partial"));
  host.write("incoming.partial/VERSION", version);
}

function stageBundle(host: TestHost, store: StageStore, bundle: StagedRecord): void {
  unpack(host, bundle.version);
  store.commit(bundle);
}

Deno.test("a committed bundle is staged, and nothing else is left of its making", () => {
  using host = new TestHost();
  const store = new StageStore(host.paths.stage);
  stageBundle(host, store, record("v1.0.0"));
  stageBundle(host, store, record("v2.0.0", "b"));
  assertEquals(store.staged(), record("v2.0.0", "b"));
  assertEquals(store.ready(), undefined);
  assertEquals(host.names(), ["staged", "staged.json"]);
  assertEquals(host.read("staged/VERSION"), "v2.0.0");
});

Deno.test("a promoted bundle replaces the one that waited to be applied", () => {
  using host = new TestHost();
  const store = new StageStore(host.paths.stage);
  for (const bundle of [record("v1.0.0"), record("v2.0.0", "b")]) {
    stageBundle(host, store, bundle);
    store.promote(bundle.bundle_sha256);
    assertEquals(store.ready(), bundle);
    assertEquals(store.staged(), undefined);
    assertEquals(host.names(), ["incoming", "ready"]);
    assertEquals(host.read("incoming/VERSION"), bundle.version);
  }
});

Deno.test("only the bundle that was asked for is promoted", () => {
  using host = new TestHost();
  const store = new StageStore(host.paths.stage);
  stageBundle(host, store, record("v1.0.0"));
  assertThrows(() => store.promote("b".repeat(64)), OngridError);
  assertEquals(host.names(), ["staged", "staged.json"]);
});

Deno.test("a bundle is dropped whole, or only when it is the one that is meant", () => {
  using host = new TestHost();
  const store = new StageStore(host.paths.stage);
  stageBundle(host, store, record("v1.0.0"));
  store.promote("a".repeat(64));
  stageBundle(host, store, record("v2.0.0", "b"));
  assertEquals(store.drop("c".repeat(64)), []);
  assertEquals(store.drop("a".repeat(64)), ["v1.0.0"]);
  assertEquals(host.names(), ["staged", "staged.json"]);
  assertEquals(store.drop(), ["v2.0.0"]);
  assertEquals(host.names(), []);
});

Deno.test("the health marker is the version and a newline; acceptance takes a verdict back", () => {
  using host = new TestHost();
  const store = new StageStore(host.paths.stage);
  host.write("verdict", "not accepted\n");
  store.markHealthy("v1.0.0");
  assertEquals(host.read("healthy_marker"), "v1.0.0\n");
  assertEquals(host.names(), ["healthy_marker"]);
  store.markHealthy("v2.0.0");
  assertEquals(host.read("healthy_marker"), "v2.0.0\n");
});

Deno.test("what is no record of this format counts as nothing staged", () => {
  using host = new TestHost();
  const store = new StageStore(host.paths.stage);
  stageBundle(host, store, record("v1.0.0"));
  for (const text of ["", "{}", "[]", JSON.stringify({ ...record("v1"), bundle_sha256: "x" })]) {
    host.write("staged.json", text);
    assertEquals(store.staged(), undefined);
  }
});

Deno.test("a start removes what a killed staging left, and keeps what is whole", () => {
  using host = new TestHost();
  const store = new StageStore(host.paths.stage);
  stageBundle(host, store, record("v1.0.0"));
  store.promote("a".repeat(64));
  stageBundle(host, store, record("v2.0.0", "b"));
  const whole = host.names();
  unpack(host, "v3.0.0");
  Deno.mkdirSync(join(host.paths.stage, "discarded", "deep"), { recursive: true });
  host.write(".healthy_marker.1b9d.tmp", "half");
  assertEquals(cleanUp(store, NOW).sort(), [
    ".healthy_marker.1b9d.tmp",
    "discarded",
    "incoming.partial",
  ]);
  assertEquals(host.names(), whole);
  assertEquals(cleanUp(store, NOW), []);
});

Deno.test("killed at any moment of a staging, the next start finds every bundle whole", () => {
  const act = (host: TestHost) => {
    const store = new StageStore(host.paths.stage);
    store.commit(record("v2.0.0", "b"));
    store.promote("b".repeat(64));
  };
  const prepare = (host: TestHost) => {
    const store = new StageStore(host.paths.stage);
    stageBundle(host, store, record("v1.0.0"));
    store.promote("a".repeat(64));
    stageBundle(host, store, record("v1.5.0", "c"));
    unpack(host, "v2.0.0");
  };
  using counted = new TestHost();
  prepare(counted);
  const calls = withKillPoint(Infinity, () => act(counted));
  assert(calls >= 15, `${calls} calls`);
  for (let at = 1; at <= calls; at++) {
    using host = new TestHost();
    prepare(host);
    assertThrows(() => withKillPoint(at, () => act(host)), Error);
    const store = new StageStore(host.paths.stage);
    cleanUp(store, NOW);
    const { ready, staged } = { ready: store.ready(), staged: store.staged() };
    const where = `killed at call ${at}`;
    const incoming = host.read("incoming/VERSION");
    assertEquals(host.names().includes("incoming"), incoming !== undefined, where);
    if (ready) assertEquals(incoming, ready.version, where);
    assertEquals(host.read("staged/VERSION"), staged?.version, where);
    const allowed = ["download", "incoming", "ready", "staged", "staged.json"];
    assertEquals(host.names().filter((name) => !allowed.includes(name)), [], where);
    unpack(host, "v2.0.0");
    act(host);
    assertEquals(store.ready(), record("v2.0.0", "b"), where);
    assertEquals(host.names(), ["incoming", "ready"], where);
  }
});

Deno.test("records without their tree and trees without their record are removed", () => {
  using host = new TestHost();
  const store = new StageStore(host.paths.stage);
  host.write("ready", JSON.stringify(record("v1.0.0")));
  Deno.mkdirSync(join(host.paths.stage, "staged"));
  cleanUp(store, NOW);
  assertEquals(host.names(), []);
  host.write("staged.json", JSON.stringify(record("v1.0.0")));
  cleanUp(store, NOW);
  assertEquals(host.names(), []);
});

Deno.test("a bundle that another agent staged without a record is kept", () => {
  using host = new TestHost();
  Deno.mkdirSync(join(host.paths.stage, "incoming"));
  cleanUp(new StageStore(host.paths.stage), NOW);
  assertEquals(host.names(), ["incoming"]);
});

Deno.test("of the downloads only the newest of the last day can be resumed", () => {
  using host = new TestHost();
  const directory = join(host.paths.stage, "download");
  Deno.mkdirSync(directory);
  const part = (digit: string, age: number, text = "bytes") => {
    const path = join(directory, `${digit.repeat(64)}.part`);
    Deno.writeTextFileSync(path, text);
    Deno.utimeSync(path, NOW, new Date(NOW.getTime() - age));
  };
  part("a", 1000);
  part("b", 2000);
  part("c", 2 * DAY_MS);
  part("d", 10, "");
  Deno.writeTextFileSync(join(directory, "bundle.tar.gz"), "old");
  Deno.symlinkSync("/etc/passwd", join(directory, `${"e".repeat(64)}.part`));
  assertEquals(cleanUp(new StageStore(host.paths.stage), NOW).length, 5);
  assertEquals(host.names("download"), [`${"a".repeat(64)}.part`]);
});

Deno.test("a state directory that is not there is in order", () => {
  assertEquals(cleanUp(new StageStore("/nonexistent/stage"), NOW), []);
});

Deno.test("killed at any moment of a drop, a dropped bundle is never left to be applied", () => {
  const prepare = (host: TestHost) => {
    const store = new StageStore(host.paths.stage);
    stageBundle(host, store, record("v1.0.0"));
    store.promote("a".repeat(64));
    return store;
  };
  using counted = new TestHost();
  const whole = prepare(counted);
  const calls = withKillPoint(Infinity, () => void whole.drop());
  assert(calls >= 3, `${calls} calls`);
  for (let at = 1; at <= calls; at++) {
    using host = new TestHost();
    const store = prepare(host);
    assertThrows(() => withKillPoint(at, () => void store.drop()), Error);
    // The next start applies `incoming/` with or without `ready`.
    if (host.read("ready") === undefined) {
      assertEquals(host.read("incoming/VERSION"), undefined, `killed at call ${at}`);
    }
  }
});

Deno.test("a directory in the place of a record or marker gives way", () => {
  using host = new TestHost();
  const store = new StageStore(host.paths.stage);
  for (const name of ["ready", "staged.json", "healthy_marker", "verdict"]) {
    Deno.mkdirSync(join(host.paths.stage, name, "deep"), { recursive: true });
  }
  stageBundle(host, store, record("v1.0.0"));
  store.promote("a".repeat(64));
  store.markHealthy("v1.0.0");
  assertEquals(store.ready(), record("v1.0.0"));
  assertEquals(host.names(), ["healthy_marker", "incoming", "ready"]);
  assertEquals(host.read("healthy_marker"), "v1.0.0\n");
});

Deno.test("a link in the place of the downloads is removed, and nothing where it leads", () => {
  using host = new TestHost();
  const elsewhere = join(host.root, "elsewhere");
  Deno.mkdirSync(elsewhere);
  Deno.writeTextFileSync(join(elsewhere, "keep"), "mine");
  Deno.symlinkSync(elsewhere, join(host.paths.stage, "download"));
  assertEquals(cleanUp(new StageStore(host.paths.stage), NOW), ["download"]);
  assertEquals(host.names(), []);
  assertEquals(Deno.readTextFileSync(join(elsewhere, "keep")), "mine");
});
