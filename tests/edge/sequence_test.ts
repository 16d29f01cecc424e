import { assertEquals, assertStringIncludes } from "@std/assert";
import { HookHost, ordinaryFiles, sha256 } from "../support/hook_host.ts";

Deno.test("the documented success: applied, proved healthy, settled", () => {
  using host = new HookHost();
  host.install("v1");
  host.stageBundle("v2");
  host.mark("healthy_marker", "v1\n");

  assertEquals(host.run(), 0);
  assertEquals(host.installed(), "all v2");
  assertEquals(host.read("bin/ongrid-edge.previous"), "agent v1\n");
  assertEquals(host.read("lib/promtail.previous"), "promtail v1\n");
  assertEquals(host.read("state/.upgrade/last_upgrade_ver"), "v2\n");
  assertEquals(host.read("state/.upgrade/healthy_marker"), undefined);
  assertEquals(host.read("state/.upgrade/incoming/VERSION"), undefined);
  assertEquals(host.record("applied.json")?.version, "v2");

  host.mark("healthy_marker", "v2\n");
  assertEquals(host.run(), 0);
  assertEquals(Object.keys(host.tree()).sort(), [
    "bin/neighbour",
    "bin/neighbour.previous",
    "bin/ongrid-edge",
    "lib/apply-pending-upgrade.sh",
    "lib/node_exporter",
    "lib/promtail",
    "root-state/settled.json",
    "state/.upgrade/healthy_marker",
  ]);
  assertEquals(host.installed(), "all v2");
  assertEquals(host.record("settled.json")?.version, "v2");
});

Deno.test("the documented failure: never healthy, everything goes back, with the reason", () => {
  using host = new HookHost();
  host.install("v1");
  host.stageBundle("v2");
  host.run();
  host.write("root-state/last_exit", "exit-code exited 1\n");

  assertEquals(host.run(), 0);
  assertEquals(host.installed(), "all v1 without node_exporter");
  assertEquals(host.read("state/.upgrade/last_upgrade_at"), "");
  assertEquals(host.read("state/.upgrade/last_upgrade_ver"), undefined);
  assertEquals(host.read("bin/ongrid-edge.previous"), undefined);
  assertEquals(host.record("rollback.json")?.reason, "exited");
  assertStringIncludes(String(host.record("rollback.json")?.detail), "exit-code exited 1");
  assertEquals(host.record("applied.json"), undefined);
});

Deno.test("a rolled-back bundle does not come back by itself, and can be pushed again", () => {
  using host = new HookHost();
  host.install("v1");
  host.stageBundle("v2");
  host.run();
  host.run();
  host.run();
  assertEquals(host.installed(), "all v1 without node_exporter");
  host.stageBundle("v2");
  host.run();
  assertEquals(host.installed(), "all v2");
});

Deno.test("a bundle staged by a healthy new version is applied in the start that settles it", () => {
  using host = new HookHost();
  host.install("v1");
  host.stageBundle("v2");
  host.run();
  host.mark("healthy_marker", "v2\n");
  host.stageBundle("v3");
  assertEquals(host.run(), 0);
  assertEquals(host.installed(), "all v3");
  assertEquals(host.record("settled.json")?.version, "v2");
  assertEquals(host.record("applied.json")?.version, "v3");
  assertEquals(host.read("bin/ongrid-edge.previous"), "agent v2\n");
});

Deno.test("a healthy marker of another version rolls back and is named", () => {
  using host = new HookHost();
  host.install("v1");
  host.stageBundle("v2");
  host.run();
  host.mark("healthy_marker", "v2-lies\n");
  host.run();
  assertEquals(host.record("rollback.json")?.reason, "other_version");
  assertStringIncludes(String(host.record("rollback.json")?.detail), "v2-lies");
});

Deno.test("the agent's own verdict is the reason", () => {
  using host = new HookHost();
  host.install("v1");
  host.stageBundle("v2");
  host.run();
  host.mark("verdict", "not accepted by a manager within 10 minutes\n");
  host.run();
  assertEquals(host.record("rollback.json")?.reason, "verdict");
  assertEquals(
    host.record("rollback.json")?.detail,
    "not accepted by a manager within 10 minutes",
  );
  assertEquals(host.read("state/.upgrade/verdict"), undefined);
});

Deno.test("a bundle that is installed already clears the staging and arms nothing", () => {
  using host = new HookHost();
  host.install("v1");
  const files = ordinaryFiles("v1");
  delete files["node_exporter"];
  host.stageBundle("v1", files);
  const before = host.read("bin/ongrid-edge");
  assertEquals(host.run(), 0);
  assertEquals(host.read("bin/ongrid-edge"), before);
  assertEquals(host.read("state/.upgrade/ready"), undefined);
  assertEquals(host.read("state/.upgrade/last_upgrade_at"), undefined);
  assertEquals(host.read("bin/ongrid-edge.previous"), undefined);
});

Deno.test("a file that does not change is neither copied nor kept", () => {
  using host = new HookHost();
  host.install("v1");
  const files = ordinaryFiles("v2");
  const same = ordinaryFiles("v1")["promtail"];
  if (same) files["promtail"] = same;
  host.stageBundle("v2", files);
  host.run();
  assertEquals(host.read("lib/promtail.previous"), undefined);
  assertEquals(host.read("lib/promtail"), "promtail v1\n");
  assertEquals(host.read("bin/ongrid-edge"), "agent v2\n");
});

Deno.test("the old set is kept by hard link, so nothing is copied twice", () => {
  using host = new HookHost();
  host.install("v1");
  const before = Deno.statSync(`${host.bin}/ongrid-edge`).ino;
  host.stageBundle("v2");
  host.run();
  assertEquals(Deno.statSync(`${host.bin}/ongrid-edge.previous`).ino, before);
});

Deno.test("when the old set is gone the new one stays, and the record says so", () => {
  using host = new HookHost();
  host.install("v1");
  host.stageBundle("v2");
  host.run();
  Deno.removeSync(`${host.lib}/promtail.previous`);
  assertEquals(host.run(), 1);
  assertEquals(host.installed(), "all v2");
  assertEquals(host.record("rollback.json")?.state, "kept");
  assertStringIncludes(String(host.record("rollback.json")?.detail), "promtail");
  host.stageBundle("v3");
  host.run();
  assertEquals(host.installed(), "all v3");
});

Deno.test("nothing staged changes nothing", () => {
  using host = new HookHost();
  host.install("v1");
  const before = host.tree();
  assertEquals(host.run(), 0);
  assertEquals(host.tree(), before);
});

Deno.test("a single file without a version is applied and never judged", () => {
  using host = new HookHost();
  host.install("v1");
  host.mark("pending", "agent v2\n");
  host.mark("pending.sha256", `${sha256("agent v2\n")}\n`);
  assertEquals(host.run(), 0);
  assertEquals(host.read("bin/ongrid-edge"), "agent v2\n");
  assertEquals(host.read("bin/ongrid-edge.previous"), "agent v1\n");
  assertEquals(host.read("state/.upgrade/previous"), "agent v1\n");
  assertEquals(host.read("state/.upgrade/pending"), undefined);
  assertEquals(host.read("state/.upgrade/pending.sha256"), undefined);
  assertEquals(host.run(), 0);
  assertEquals(host.read("bin/ongrid-edge"), "agent v2\n");
});

Deno.test("a single file with a version is judged like a bundle", () => {
  using host = new HookHost();
  host.install("v1");
  host.mark("pending", "agent v2\n");
  host.mark("pending.sha256", sha256("agent v2\n"));
  host.mark("pending.version", "v2\n");
  host.run();
  assertEquals(host.read("bin/ongrid-edge"), "agent v2\n");
  assertEquals(host.read("state/.upgrade/last_upgrade_ver"), "v2\n");
  host.run();
  assertEquals(host.read("bin/ongrid-edge"), "agent v1\n");
});

Deno.test("a single file with the wrong hash is dropped", () => {
  using host = new HookHost();
  host.install("v1");
  host.mark("pending", "agent v2\n");
  host.mark("pending.sha256", sha256("something else"));
  assertEquals(host.run(), 1);
  assertEquals(host.installed(), "all v1 without node_exporter");
  assertEquals(host.read("state/.upgrade/pending"), undefined);
  assertEquals(host.record("rollback.json")?.state, "refused");
});

Deno.test("a bundle supersedes a single file that was staged before it", () => {
  using host = new HookHost();
  host.install("v1");
  host.mark("pending", "agent stale\n");
  host.mark("pending.sha256", sha256("agent stale\n"));
  host.stageBundle("v2");
  host.run();
  assertEquals(host.installed(), "all v2");
  assertEquals(host.read("state/.upgrade/pending"), undefined);
});
