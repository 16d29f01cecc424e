import { assert, assertEquals } from "@std/assert";
import { builtHook } from "./support/built_hook.ts";
import { EdgeHost } from "./support/edge_host.ts";
import { commandOptions, run, wrapped } from "./support/process.ts";
import { say } from "./support/report.ts";
import { hostTest } from "./support/requirements.ts";
import { APPLY, ROLL_BACK, type Scenario, SETTLE, SETTLE_AND_APPLY } from "./support/scenarios.ts";
import { Scratch } from "./support/scratch.ts";
import { byItself } from "./support/starters.ts";
import { Sweep } from "./support/sweep.ts";
import { until } from "./support/until.ts";

/** Files by which a run can be seen to have come so far, early ones first. */
const MILESTONES: Record<string, readonly string[]> = {
  [APPLY.name]: [
    "root-state/lock",
    "root-state/attempts",
    "root-state/claimed/bundle",
    "lib/promtail.new",
    "bin/ongrid-edge.new",
    "root-state/journal.json",
    "root-state/rescue",
    "state/.upgrade/last_upgrade_ver",
    "lib/promtail.previous",
    "bin/ongrid-edge.previous",
    "root-state/claimed/discarded",
  ],
  [ROLL_BACK.name]: ["root-state/journal.json", "root-state/rollback.json"],
  [SETTLE.name]: ["root-state/journal.json", "root-state/settled.json"],
  [SETTLE_AND_APPLY.name]: [
    "root-state/journal.json",
    "root-state/settled.json",
    "root-state/attempts",
    "bin/ongrid-edge.new",
  ],
};

/** Starts that were stopped at the wrong moment, because the machine was busy, are repeated. */
const MAX_TRIES = 20;

/** A second start that is seen to wait for a first one, which is stopped in its middle. */
interface Pair {
  readonly first: Deno.ChildProcess;
  readonly second: Deno.ChildProcess;
}

/**
 * Starts the hook, stops it once `milestone` is there, and starts it a second time.
 *
 * @returns undefined where the first one had ended before it could be stopped.
 */
async function startPair(
  host: EdgeHost,
  hook: string,
  milestone: string,
): Promise<Pair | undefined> {
  const command = new Deno.Command(hook, commandOptions(host.start(hook)));
  const first = command.spawn();
  // The hook is through in a few milliseconds: only a loop without a pause sees it on its way.
  const deadline = Date.now() + 5_000;
  while (!holdsLock(host, first.pid) || !exists(`${host.root}/${milestone}`)) {
    if (Date.now() > deadline || hasEnded(first.pid)) break;
  }
  if (!hasEnded(first.pid)) Deno.kill(first.pid, "SIGSTOP");
  if (!holdsLock(host, first.pid)) {
    if (!hasEnded(first.pid)) Deno.kill(first.pid, "SIGCONT");
    await first.output();
    return undefined;
  }
  const second = command.spawn();
  await until("the second hook waits for the lock", () => waitsForLock(second.pid));
  return { first, second };
}

async function tryPairs(
  scenario: Scenario,
  act: (sweep: Sweep, pair: Pair, story: string) => Promise<void>,
): Promise<void> {
  const { hook } = await builtHook();
  using scratch = new Scratch();
  const sweep = await Sweep.of(scenario, byItself(hook), scratch);
  let missed = 0;
  const milestones = MILESTONES[scenario.name] ?? [];
  for (const milestone of milestones) {
    const story = `${scenario.name}, the first one stopped after ${milestone}`;
    for (let tries = 0;; tries++) {
      assert(tries < MAX_TRIES, `${story}: never stopped in time`);
      sweep.reset(0);
      const pair = await startPair(sweep.host(0), hook, milestone);
      if (!pair) missed += 1;
      else await act(sweep, pair, story);
      if (pair) break;
    }
  }
  say(`${scenario.name}: ${milestones.length} pairs, ${missed} starts ended too early`);
}

for (const scenario of [APPLY, ROLL_BACK, SETTLE, SETTLE_AND_APPLY]) {
  hostTest({
    name: `two hooks at once: the second neither applies nor judges anything ("${scenario.name}")`,
    needs: ["root", "strace", "tmpfs"],
    run: () =>
      tryPairs(scenario, async (sweep, { first, second }, story) => {
        Deno.kill(first.pid, "SIGCONT");
        const ends = await Promise.all([first.output(), second.output()]);
        assertEquals(ends.map(({ code }) => code), [0, 0], story);
        sweep.expect(0, story);
      }),
  });
}

hostTest({
  name: "a hook that waited for a killed one finishes its swap, and begins nothing of its own",
  needs: ["root", "strace", "tmpfs"],
  run: () =>
    tryPairs(APPLY, async (sweep, { first, second }, story) => {
      const host = sweep.host(0);
      const hadBegun = host.record("journal.json") !== undefined;
      Deno.kill(first.pid, "SIGKILL");
      await first.output();
      const { code, stderr } = await second.output();
      assertEquals(code, 0, story);
      const found = `${story}\n${new TextDecoder().decode(stderr)}`;
      assertEquals(host.installed(), hadBegun ? APPLY.wanted : APPLY.old, found);
      if (hadBegun) sweep.expect(0, found);
      else await sweep.finish(0, found);
    }),
});

hostTest({
  name: "a clock that is set back changes no verdict",
  needs: ["root", "tmpfs", "faketime"],
  run: async () => {
    const { hook } = await builtHook();
    using scratch = new Scratch();
    const host = new EdgeHost(scratch.directory("host"));
    const startAt = (time: string) => run(wrapped("faketime", [time], host.start(hook)));
    host.install("v1");
    host.stageBundle("v2");
    await startAt("2040-06-01 12:00:00");
    assertEquals(host.installed(), "all v2");
    assertEquals(String(host.record("applied.json")?.applied_at).slice(0, 4), "2040");
    host.mark("healthy_marker", "v2\n");
    await startAt("2001-01-01 00:00:00");
    assertEquals(host.record("settled.json")?.version, "v2");
    host.stageBundle("v3");
    await startAt("2001-01-01 00:00:00");
    assertEquals(host.installed(), "all v3");
    await startAt("1999-01-01 00:00:00");
    assertEquals(host.installed(), "all v2");
    assertEquals(host.record("rollback.json")?.reason, "never_healthy");
    host.stageBundle("v3");
    await startAt("1999-01-01 00:00:00");
    host.mark("healthy_marker", "v3\n");
    await startAt("2040-06-01 12:00:00");
    assertEquals(host.installed(), "all v3");
    assertEquals(host.record("settled.json")?.version, "v3");
  },
});

function holdsLock(host: EdgeHost, pid: number): boolean {
  const path = `${host.rootState}/lock`;
  if (!exists(path)) return false;
  const inode = Deno.statSync(path).ino;
  return locks().some((line) => line.includes(` ${pid} `) && line.includes(`:${inode} `));
}

function waitsForLock(pid: number): boolean {
  return locks().some((line) => line.includes("->") && line.includes(` ${pid} `));
}

/** A line for each lock that is held, and below it one with `->` for each that is waited for. */
function locks(): string[] {
  return Deno.readTextFileSync("/proc/locks").split("\n");
}

/** True for a process that is gone, or that only its parent's question keeps. */
function hasEnded(pid: number): boolean {
  try {
    return / [ZX] /.test(Deno.readTextFileSync(`/proc/${pid}/stat`));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return true;
    throw error;
  }
}

function exists(path: string): boolean {
  try {
    return Deno.lstatSync(path) !== undefined;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
