import { assertEquals, assertGreater } from "@std/assert";
import { HookHost, ordinaryFiles, sha256 } from "../support/hook_host.ts";
import { Killed, withKillPoint } from "../support/kill_points.ts";

/** A situation in which the hook starts, and the only two sets of files that may come out. */
interface Scenario {
  readonly name: string;
  readonly prepare: (host: HookHost) => void;
  readonly old: string;
  readonly wanted: string;
}

const OLD = "all v1 without node_exporter";

const SCENARIOS: Scenario[] = [
  {
    name: "apply",
    old: OLD,
    wanted: "all v2",
    prepare: (host) => {
      host.install("v1");
      host.stageBundle("v2");
      host.mark("healthy_marker", "v1\n");
    },
  },
  {
    name: "roll back",
    old: "all v2",
    wanted: OLD,
    prepare: (host) => {
      host.install("v1");
      host.stageBundle("v2");
      host.run();
    },
  },
  {
    name: "settle",
    old: "all v2",
    wanted: "all v2",
    prepare: (host) => {
      host.install("v1");
      host.stageBundle("v2");
      host.run();
      host.mark("healthy_marker", "v2\n");
    },
  },
  {
    name: "settle, then apply the next bundle",
    old: "all v2",
    wanted: "all v3",
    prepare: (host) => {
      host.install("v1");
      host.stageBundle("v2");
      host.run();
      host.mark("healthy_marker", "v2\n");
      host.stageBundle("v3");
    },
  },
  {
    name: "refuse",
    old: OLD,
    wanted: OLD,
    prepare: (host) => {
      host.install("v1");
      const files = ordinaryFiles("v2");
      host.stageBundle("v2", files);
      host.write("state/.upgrade/incoming/promtail", "tampered\n");
    },
  },
];

/** Runs the hook as it would run for real: what a kill point throws ends it, and is no defect. */
function runUntilKilled(host: HookHost, at: number): number {
  return withKillPoint(at, () => {
    try {
      host.run();
    } catch (error) {
      if (!(error instanceof Killed)) throw error;
    }
  });
}

function countCalls(scenario: Scenario): number {
  using host = new HookHost();
  scenario.prepare(host);
  return runUntilKilled(host, Infinity);
}

/** Names that no finished run may leave. */
function leftovers(host: HookHost): string[] {
  return Object.keys(host.tree()).filter((path) =>
    /\.(new|tmp)$|claimed|journal|incoming|attempts|corrupt/.test(path)
  );
}

for (const scenario of SCENARIOS) {
  Deno.test(`killed anywhere in "${scenario.name}", the next runs end all old or all new`, () => {
    const calls = countCalls(scenario);
    assertGreater(calls, 5);
    for (let at = 1; at <= calls; at++) {
      using host = new HookHost();
      scenario.prepare(host);
      runUntilKilled(host, at);
      const where = `killed at call ${at} of ${calls}`;

      host.run();
      // Whatever the killed run had decided is done now, or it had decided nothing: then the run
      // after it has decided and done it, unless the old agent must get its start first.
      const first = host.installed();
      assertEquals([scenario.old, scenario.wanted].includes(first), true, `${where}: ${first}`);
      if (first !== scenario.wanted) host.run();
      assertEquals(host.installed(), scenario.wanted, where);
      assertEquals(leftovers(host), [], where);
      assertEquals(host.read("bin/neighbour.previous"), "not ours either\n", where);
    }
  });
}

Deno.test("an upgrade that was completed by a later run still gets its first start", () => {
  const [apply] = SCENARIOS;
  if (!apply) throw new Error("no scenario");
  const calls = countCalls(apply);
  for (let at = 1; at <= calls; at++) {
    using host = new HookHost();
    apply.prepare(host);
    runUntilKilled(host, at);
    host.run();
    assertEquals(host.installed(), "all v2", `killed at call ${at}`);
    assertEquals(host.record("applied.json")?.version, "v2");
    assertEquals(host.read("state/.upgrade/last_upgrade_ver"), "v2\n");
    host.mark("healthy_marker", "v2\n");
    host.run();
    assertEquals(host.installed(), "all v2", `killed at call ${at}, then healthy`);
    assertEquals(host.record("settled.json")?.version, "v2");
  }
});

Deno.test("a marker written by the mixed set of a killed swap does not settle it", () => {
  const [apply] = SCENARIOS;
  if (!apply) throw new Error("no scenario");
  const calls = countCalls(apply);
  for (let at = 1; at <= calls; at++) {
    using host = new HookHost();
    apply.prepare(host);
    runUntilKilled(host, at);
    if (!host.record("journal.json")) continue;
    host.mark("healthy_marker", "v2\n");
    host.run();
    assertEquals(host.installed(), "all v2", `killed at call ${at}`);
    assertEquals(host.record("settled.json"), undefined);
    assertEquals(host.read("state/.upgrade/healthy_marker"), undefined);
  }
});

Deno.test("killed anywhere in the recovery of a killed run, the third run ends it", () => {
  for (const scenario of SCENARIOS) {
    const calls = countCalls(scenario);
    // The full cross product takes minutes; strides that share no factor still meet every phase.
    for (let at = 1; at <= calls; at += 13) {
      for (let again = 1 + at % 7;; again += 7) {
        using host = new HookHost();
        scenario.prepare(host);
        runUntilKilled(host, at);
        if (runUntilKilled(host, again) < again) break;
        host.run();
        if (host.installed() !== scenario.wanted) host.run();
        const where = `${scenario.name}: killed at ${at}, then at ${again}\n${host.log}`;
        assertEquals(host.installed(), scenario.wanted, where);
        assertEquals(leftovers(host), [], where);
      }
    }
  }
});

for (const code of ["EIO", "ENOSPC"]) {
  Deno.test(`${code} anywhere in an apply leaves one whole set, and nothing beside it`, () => {
    const [apply] = SCENARIOS;
    if (!apply) throw new Error("no scenario");
    const fault = () => Object.assign(new Error(`${code}: injected`), { code });
    const calls = countCalls(apply);
    for (let at = 1; at <= calls; at++) {
      using host = new HookHost();
      apply.prepare(host);
      withKillPoint(at, () => host.run(), { once: true, fault });
      const where = `${code} at call ${at} of ${calls}`;
      assertEquals([OLD, "all v2"].includes(host.installed()), true, `${where} ${host.log}`);
      const beside = Object.keys(host.tree()).filter((path) => /\.new$|previous\.tmp$/.test(path));
      assertEquals(beside, [], where);
      if (host.installed() === OLD) assertEquals(host.read("bin/ongrid-edge.previous"), undefined);
      // Where the disk is well again, the upgrade is not lost.
      if (host.installed() === OLD) host.run();
      assertEquals(host.installed(), "all v2", `${where} ${host.log}`);
    }
  });
}

Deno.test("a single file survives a kill anywhere", () => {
  const prepare = (host: HookHost) => {
    host.install("v1");
    host.mark("pending", "agent v2\n");
    host.mark("pending.sha256", sha256("agent v2\n"));
    host.mark("pending.version", "v2");
  };
  const calls = countCalls({ name: "legacy", old: "", wanted: "", prepare });
  for (let at = 1; at <= calls; at++) {
    using host = new HookHost();
    prepare(host);
    runUntilKilled(host, at);
    host.run();
    assertEquals(host.read("bin/ongrid-edge"), "agent v2\n", `killed at call ${at} of ${calls}`);
    assertEquals(host.record("applied.json")?.version, "v2", `killed at call ${at} of ${calls}`);
    assertEquals(leftovers(host), [], `killed at call ${at} of ${calls}`);
  }
});
