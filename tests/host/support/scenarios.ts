/** The situations in which the hook starts, and what may come of each. */

import { ordinaryFiles, sha256 } from "../../support/hook_host.ts";
import { SHELL_HOOK } from "./built_hook.ts";
import type { EdgeHost } from "./edge_host.ts";
import { run } from "./process.ts";

/** What puts a host into a situation: its files, and starts of the hook. */
type Prepare = (host: EdgeHost, start: () => Promise<void>) => Promise<void>;

/** One situation. */
export interface Scenario {
  readonly name: string;
  readonly prepare: Prepare;
  /** The set that was in place, in the words of `EdgeHost.installed`. */
  readonly old: string;
  /** The set that has to come of it in the end, whoever is killed. */
  readonly wanted: string;
  /** The record that says so; none for what nobody ever judges. */
  readonly record?: string;
}

const V1 = "all v1 without node_exporter";

async function applied(host: EdgeHost, start: () => Promise<void>): Promise<void> {
  host.install("v1");
  host.stageBundle("v2");
  await start();
}

/** The bundle of an ordinary upgrade. */
export const APPLY: Scenario = {
  name: "apply",
  old: V1,
  wanted: "all v2",
  record: "applied.json",
  prepare: (host) => {
    host.install("v1");
    host.stageBundle("v2");
    host.mark("healthy_marker", "v1\n");
    return Promise.resolve();
  },
};

/** The upgrade before never became healthy. */
export const ROLL_BACK: Scenario = {
  name: "roll back",
  old: "all v2",
  wanted: V1,
  record: "rollback.json",
  prepare: applied,
};

/** The upgrade before is healthy. */
export const SETTLE: Scenario = {
  name: "settle",
  old: "all v2",
  wanted: "all v2",
  record: "settled.json",
  prepare: async (host, start) => {
    await applied(host, start);
    host.mark("healthy_marker", "v2\n");
  },
};

/** The upgrade before is healthy, and the next one is staged already. */
export const SETTLE_AND_APPLY: Scenario = {
  name: "settle, then apply the next bundle",
  old: "all v2",
  wanted: "all v3",
  record: "applied.json",
  prepare: async (host, start) => {
    await applied(host, start);
    host.mark("healthy_marker", "v2\n");
    host.stageBundle("v3");
  },
};

/** A single file of an agent from before there were bundles, with its version. */
export const LEGACY: Scenario = {
  name: "single file",
  old: "all v1",
  wanted: JSON.stringify({
    ...contents("v1"),
    "ongrid-edge": "agent v2\n",
  }),
  record: "applied.json",
  prepare: (host) => {
    host.install("v1");
    host.write("lib/node_exporter", ordinaryFiles("v1").node_exporter?.content ?? "", 0o755);
    host.mark("pending", "agent v2\n");
    host.mark("pending.sha256", `${sha256("agent v2\n")}\n`);
    host.mark("pending.version", "v2\n");
    return Promise.resolve();
  },
};

/** A single file without a version: nothing can judge it, so it is not on trial. */
const LEGACY_UNJUDGED: Scenario = {
  name: "single file without a version",
  old: LEGACY.old,
  wanted: LEGACY.wanted,
  prepare: async (host, start) => {
    await LEGACY.prepare(host, start);
    Deno.removeSync(`${host.stage}/pending.version`);
  },
};

/** A bundle with a file that is not what the manifest says. */
const REFUSE: Scenario = {
  name: "refuse",
  old: V1,
  wanted: V1,
  record: "rollback.json",
  prepare: (host) => {
    host.install("v1");
    host.stageBundle("v2");
    host.stageText("promtail", "tampered\n");
    return Promise.resolve();
  },
};

/** An upgrade that the shell tooling's hook applied and that never became healthy. */
const ROLL_BACK_SHELL: Scenario = {
  name: "roll back what the shell hook applied",
  old: "all v2",
  wanted: V1,
  record: "rollback.json",
  prepare: async (host) => {
    host.install("v1");
    host.stageBundle("v2");
    await run(host.start("bash", SHELL_HOOK));
  },
};

/** What the guard leaves: every previous file, and the new one, which is the hook's to remove. */
export const RESCUED = JSON.stringify({ ...contents("v1"), node_exporter: "exporter v2\n" });

/** The guard put the previous files back, and the hook of that time finds what it left. */
const FINISH_RESCUE: Scenario = {
  name: "finish what the guard rescued",
  old: RESCUED,
  wanted: V1,
  record: "rollback.json",
  prepare: async (host, start) => {
    await applied(host, start);
    const { bin, lib, rootState } = host;
    Deno.renameSync(`${rootState}/applied.json`, `${rootState}/journal.rescued`);
    for (
      const dest of [`${lib}/promtail`, `${lib}/apply-pending-upgrade.sh`, `${bin}/ongrid-edge`]
    ) {
      Deno.renameSync(`${dest}.previous`, dest);
    }
    Deno.removeSync(`${rootState}/rescue`);
  },
};

/** The situations that every host meets. */
const ORDINARY: readonly Scenario[] = [
  APPLY,
  ROLL_BACK,
  SETTLE,
  SETTLE_AND_APPLY,
  LEGACY,
  REFUSE,
];

/** Situations that share most of their way with an ordinary one. */
export const SPECIAL: readonly Scenario[] = [LEGACY_UNJUDGED, ROLL_BACK_SHELL, FINISH_RESCUE];

/** All of them. */
export const SCENARIOS: readonly Scenario[] = [...ORDINARY, ...SPECIAL];

function contents(version: string): Record<string, string> {
  return Object.fromEntries(
    Object.entries(ordinaryFiles(version)).map(([name, { content }]) => [name, content]),
  );
}
