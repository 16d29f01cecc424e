import { assertEquals, assertMatch } from "@std/assert";
import { join } from "@std/path";
import { readUpgradeState } from "../../../lib/edge/agent/upgrade_state.ts";
import { TestHost } from "./support/host.ts";

const HASH = "a".repeat(64);

const applied = (version: string, armed = true) => ({
  format: 1,
  op: "apply",
  version,
  applied_at: "2026-01-02T03:04:05.000Z",
  bundle: HASH,
  armed,
  files: [{ dest: "/usr/local/bin/ongrid-edge", old_sha256: null, new_sha256: HASH }],
});

const outcome = (state: string, at: string, detail = "the agent never connected") => ({
  format: 1,
  state,
  version: "v2.0.0",
  rolled_back_at: at,
  reason: "never_healthy",
  detail,
  restored: 1,
});

const settled = (at: string) => ({ format: 1, version: "v3.0.0", settled_at: at });

const state = (host: TestHost, version = "v2.0.0") => readUpgradeState(host.paths, version);

Deno.test("a host that was never upgraded reports none", () => {
  using host = new TestHost();
  assertEquals(state(host), {
    armed: undefined,
    healthy: undefined,
    unsettled: false,
    report: { state: "none", version: "" },
  });
});

Deno.test("an applied upgrade is unsettled until its version is marked healthy", () => {
  using host = new TestHost();
  host.record("applied.json", applied("v2.0.0"));
  host.arm("v2.0.0");
  assertEquals(state(host).unsettled, true);
  host.write("healthy_marker", "v1.0.0\n");
  assertEquals(state(host).unsettled, true);
  host.write("healthy_marker", "v2.0.0\n");
  assertEquals(state(host), {
    armed: "v2.0.0",
    healthy: "v2.0.0",
    unsettled: false,
    report: { state: "armed", version: "v2.0.0", at: "2026-01-02T03:04:05.000Z" },
  });
});

Deno.test("markers of the shell hook arm by themselves, emptied ones do not", () => {
  using host = new TestHost();
  host.arm("v2.0.0");
  assertEquals([state(host).armed, state(host).unsettled], ["v2.0.0", true]);
  host.write("last_upgrade_at", "");
  assertEquals(state(host).armed, undefined);
});

Deno.test("root's record arms where its markers could not be written", () => {
  using host = new TestHost();
  host.record("applied.json", applied("v2.0.0"));
  assertEquals(state(host).unsettled, true);
});

Deno.test("a record that another hook has overtaken does not arm another agent", () => {
  using host = new TestHost();
  host.record("applied.json", applied("v2.0.0"));
  assertEquals(state(host, "v5.0.0").armed, undefined);
  host.arm("v5.0.0");
  assertEquals(state(host, "v5.0.0").armed, "v5.0.0");
});

Deno.test("a single-file upgrade that named no version waits for no verdict", () => {
  using host = new TestHost();
  host.record("applied.json", applied("", false));
  assertEquals(state(host).armed, undefined);
});

Deno.test("a rollback is reported with its code and detail", () => {
  using host = new TestHost();
  host.record("rollback.json", outcome("rolled_back", "2026-02-01T00:00:00Z"));
  assertEquals(state(host).report, {
    state: "rolled_back",
    version: "v2.0.0",
    reason: "never_healthy: the agent never connected",
    at: "2026-02-01T00:00:00Z",
  });
});

Deno.test("a bundle that was never applied is reported as refused", () => {
  using host = new TestHost();
  for (const name of ["refused", "dropped", "deferred"]) {
    host.record("rollback.json", outcome(name, "2026-02-01T00:00:00Z"));
    assertEquals(state(host).report.state, "refused");
  }
});

Deno.test("of a settled upgrade and a rollback the later one is reported", () => {
  using host = new TestHost();
  host.record("settled.json", settled("2026-03-01T00:00:00Z"));
  assertEquals(state(host).report, {
    state: "settled",
    version: "v3.0.0",
    at: "2026-03-01T00:00:00Z",
  });
  host.record("rollback.json", outcome("rolled_back", "2026-02-01T00:00:00Z"));
  assertEquals(state(host).report.state, "settled");
  host.record("rollback.json", outcome("rolled_back", "2026-04-01T00:00:00Z"));
  assertEquals(state(host).report.state, "rolled_back");
});

Deno.test("a very long reason is cut", () => {
  using host = new TestHost();
  host.record("rollback.json", outcome("rolled_back", "2026-02-01T00:00:00Z", "x".repeat(9000)));
  assertMatch(state(host).report.reason ?? "", /^never_healthy: x{485}$/);
});

Deno.test("damaged records and traps in their place count as absent", () => {
  using host = new TestHost();
  for (const name of ["applied.json", "rollback.json", "settled.json"]) host.record(name, [1]);
  Deno.symlinkSync("/etc/passwd", join(host.paths.stage, "healthy_marker"));
  Deno.mkdirSync(join(host.paths.stage, "last_upgrade_at"));
  assertEquals(state(host), {
    armed: undefined,
    healthy: undefined,
    unsettled: false,
    report: { state: "none", version: "" },
  });
});
