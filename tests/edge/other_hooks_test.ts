import { assertEquals, assertStringIncludes } from "@std/assert";
import { fromFileUrl } from "@std/path";
import { HookHost, ordinaryFiles } from "../support/hook_host.ts";

const REFERENCE_HOOK = fromFileUrl(new URL("../support/reference_hook.sh", import.meta.url));
const OLD = "all v1 without node_exporter";

/** Runs the shell tooling's hook on the same host. */
function runReference(host: HookHost): void {
  const { code, stderr } = new Deno.Command("bash", {
    args: [REFERENCE_HOOK],
    env: {
      ONGRID_EDGE_UPGRADE_STAGE_DIR: host.stage,
      ONGRID_EDGE_UPGRADE_BIN_DIR: host.bin,
      ONGRID_EDGE_UPGRADE_LIB_DIR: host.lib,
    },
    stderr: "piped",
  }).outputSync();
  assertEquals(code, 0, new TextDecoder().decode(stderr));
}

/** The shell hook prunes and restores every `.previous` there is; a neighbour's would go, too. */
function withoutNeighbour(): HookHost {
  const host = new HookHost();
  Deno.removeSync(`${host.bin}/neighbour.previous`);
  host.install("v1");
  return host;
}

Deno.test("an upgrade that the shell hook applied is settled by ours", () => {
  using host = withoutNeighbour();
  host.stageBundle("v2");
  runReference(host);
  host.mark("healthy_marker", "v2\n");
  assertEquals(host.run(), 0);
  assertEquals(host.installed(), "all v2");
  assertEquals(Object.keys(host.tree()).filter((path) => path.endsWith(".previous")), []);
  assertEquals(host.read("state/.upgrade/last_upgrade_ver"), undefined);
  assertEquals(host.record("settled.json")?.version, "v2");
});

Deno.test("an upgrade that the shell hook applied is rolled back by ours", () => {
  using host = withoutNeighbour();
  host.stageBundle("v2");
  runReference(host);
  assertEquals(host.run(), 0);
  assertEquals(host.installed(), OLD);
  assertEquals(host.record("rollback.json")?.version, "v2");
});

Deno.test("an upgrade that the shell hook applied over an unsettled one of ours is judged", () => {
  using host = withoutNeighbour();
  host.stageBundle("v2");
  host.run();
  // The host went back to the shell hook, which settled v2 and applied v3; then ours came back.
  host.mark("healthy_marker", "v2\n");
  runReference(host);
  host.stageBundle("v3");
  runReference(host);
  assertEquals(host.record("applied.json")?.version, "v2");
  host.run();
  assertEquals(host.installed(), "all v2");
  assertEquals(host.record("rollback.json")?.version, "v3");
  assertStringIncludes(host.log, "changed since");
});

Deno.test("an upgrade with which the shell hook brought back what was before ours is judged", () => {
  using host = withoutNeighbour();
  host.stageBundle("v2");
  host.run();
  // The shell hook settled v2, and went back to v1, which has no node_exporter; then ours came back.
  host.mark("healthy_marker", "v2\n");
  runReference(host);
  const { node_exporter: _exporter, ...files } = ordinaryFiles("v1");
  host.stageBundle("v1", files);
  runReference(host);
  host.mark("healthy_marker", "v1\n");
  assertEquals(host.record("applied.json")?.version, "v2");
  assertEquals(host.run(), 0);
  assertEquals(host.read("bin/ongrid-edge"), "agent v1\n");
  assertEquals(host.record("rollback.json"), undefined);
  assertEquals(host.record("settled.json")?.version, "v1");
  assertEquals(Object.keys(host.tree()).filter((path) => path.endsWith(".previous")), []);
});

Deno.test("an upgrade of ours is settled by the shell hook", () => {
  using host = withoutNeighbour();
  host.stageBundle("v2");
  host.run();
  host.mark("healthy_marker", "v2\n");
  runReference(host);
  assertEquals(host.installed(), "all v2");
  assertEquals(Object.keys(host.tree()).filter((path) => path.endsWith(".previous")), []);
  assertEquals(host.read("state/.upgrade/last_upgrade_at"), undefined);
});

Deno.test("an upgrade of ours is rolled back by the shell hook, new files included", () => {
  using host = withoutNeighbour();
  host.stageBundle("v2");
  host.run();
  runReference(host);
  assertEquals(host.installed(), OLD);
  host.run();
  assertEquals(host.installed(), OLD);
});

Deno.test("after a rollback of ours the shell hook applies the next bundle", () => {
  using host = withoutNeighbour();
  host.stageBundle("v2");
  host.run();
  host.run();
  assertEquals(host.installed(), OLD);
  host.stageBundle("v3");
  runReference(host);
  assertEquals(host.installed(), "all v3");
});

Deno.test("a host whose older rollback left an empty last_upgrade_at is upgraded", () => {
  using host = withoutNeighbour();
  host.stageBundle("v2");
  runReference(host);
  runReference(host);
  assertEquals(host.read("state/.upgrade/last_upgrade_at"), "");
  assertEquals(host.read("state/.upgrade/last_upgrade_ver"), "v2\n");
  host.stageBundle("v3");
  host.run();
  assertEquals(host.installed(), "all v3");
});

Deno.test("forged markers cannot make root touch files that no upgrade owns", () => {
  using host = new HookHost();
  host.install("v1");
  host.mark("last_upgrade_at", "2026-01-01T00:00:00Z\n");
  host.mark("last_upgrade_ver", "v2\n");
  const targets = [`${host.bin}/neighbour`, `${host.bin}/ongrid-edge`, "/etc/passwd"];
  host.mark("last_upgrade_new_targets", `${targets.join("\n")}\n`);
  host.run();
  assertEquals(host.installed(), OLD);
  assertEquals(host.read("bin/neighbour"), "not ours\n");
  assertEquals(host.read("bin/neighbour.previous"), "not ours either\n");
});

Deno.test("a bundle without a ready marker, as the Go agent stages it, is applied", () => {
  using host = withoutNeighbour();
  host.stageBundle("v2");
  Deno.removeSync(`${host.stage}/ready`);
  host.run();
  assertEquals(host.installed(), "all v2");
});
