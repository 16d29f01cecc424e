import { assertEquals, assertMatch } from "@std/assert";
import { Prng } from "../bundle/prng.ts";
import { builtHook } from "./support/built_hook.ts";
import { forEach, sample } from "./support/pool.ts";
import { run } from "./support/process.ts";
import { say, timed } from "./support/report.ts";
import { hostTest } from "./support/requirements.ts";
import {
  APPLY,
  RESCUED,
  ROLL_BACK,
  SCENARIOS,
  SETTLE,
  SETTLE_AND_APPLY,
} from "./support/scenarios.ts";
import { Scratch } from "./support/scratch.ts";
import { byGuard } from "./support/starters.ts";
import { Sweep } from "./support/sweep.ts";

const FULL = Deno.env.get("ONGRID_TEST_FULL") === "1";

/** Kill points by scenario where not all are taken. */
const SAMPLED = 8;

const SEED = Prng.seed();

for (const scenario of FULL ? SCENARIOS : [APPLY, ROLL_BACK, SETTLE]) {
  hostTest({
    name: `a hook killed in "${scenario.name}" while the guard lives ends in the same start`,
    needs: ["root", "strace", "tmpfs"],
    run: () =>
      timed(`guard alive, ${scenario.name}`, async () => {
        using scratch = new Scratch();
        const sweep = await Sweep.of(scenario, byGuard((await builtHook()).hook, "hook"), scratch);
        const random = new Prng(SEED);
        const { changes } = sweep.trace;
        const isFull = FULL || scenario === APPLY;
        const calls = isFull ? changes : sample(changes, SAMPLED, () => random.next());
        await forEach(calls, async (call, worker) => {
          const story = sweep.story(call, "SIGKILL");
          const { code, stderr } = await sweep.fail(worker, call, "SIGKILL");
          assertEquals(code, 0, story);
          // Completed, not undone, and not left to the next start either.
          sweep.expect(worker, `${story}\n${stderr}`);
        });
        return `${calls.length} of ${changes.length} kill points`;
      }),
  });
}

hostTest({
  name: "hook and guard killed together: the next start ends it",
  needs: ["root", "strace", "tmpfs"],
  run: async () => {
    const random = new Prng(SEED);
    say(FULL ? "every kill point" : `sampled, ONGRID_TEST_SEED=${SEED}`);
    for (const scenario of SCENARIOS) {
      await timed(`killed together, ${scenario.name}`, async () => {
        using scratch = new Scratch();
        const starter = byGuard((await builtHook()).hook, "group");
        const sweep = await Sweep.of(scenario, starter, scratch);
        const { changes } = sweep.trace;
        const calls = FULL ? changes : sample(changes, SAMPLED, () => random.next());
        await forEach(calls, async (call, worker) => {
          const story = sweep.story(call, "SIGKILL");
          const { signal } = await sweep.fail(worker, call, "SIGKILL");
          assertEquals(signal, "SIGKILL", story);
          assertEquals(sweep.host(worker).read("root-state/guard_starts"), "1\n", story);
          sweep.expectWholeFiles(worker, story);
          await sweep.finish(worker, story);
        });
        return `${calls.length} of ${changes.length} kill points`;
      });
    }
  },
});

hostTest({
  name: "killed anywhere, and from then on the hook cannot run: the guard leaves one whole set",
  needs: ["root", "strace", "tmpfs"],
  run: async () => {
    const random = new Prng(SEED);
    for (const scenario of [APPLY, ROLL_BACK, SETTLE, SETTLE_AND_APPLY]) {
      await timed(`cannot run any more, ${scenario.name}`, async () => {
        using scratch = new Scratch();
        const starter = byGuard((await builtHook()).hook, "group");
        const sweep = await Sweep.of(scenario, starter, scratch);
        const whole = [scenario.old, scenario.wanted, RESCUED];
        const { changes } = sweep.trace;
        const calls = FULL ? changes : sample(changes, 2 * SAMPLED, () => random.next());
        let rescued = 0;
        await forEach(calls, async (call, worker) => {
          const host = sweep.host(worker);
          await sweep.fail(worker, call, "SIGKILL");
          const start = starter.start(host);
          const broken = { ...start, env: { ...start.env, TEST_HOOK: "/bin/false" } };
          const story = `${sweep.story(call, "SIGKILL")}\n${(await run(broken)).stderr}`;
          assertEquals(whole.includes(host.installed()), true, `${host.installed()}\n${story}`);
          if (host.read("root-state/journal.rescued")) rescued += 1;
          // The hook can run again: whichever way it goes, it goes all of it.
          await run(start);
          const found = host.installed();
          const ends = [scenario.old, scenario.wanted, APPLY.old];
          assertEquals(ends.includes(found), true, `${found}\n${story}`);
          assertEquals(host.record("journal.rescued"), undefined, story);
        });
        return `${calls.length} of ${changes.length} kill points, ${rescued} rescued, ` +
          `ONGRID_TEST_SEED=${SEED}`;
      });
    }
  },
});

hostTest({
  name: "a hook killed as it exits is run again by the guard, and does not judge what it applied",
  needs: ["root", "strace", "tmpfs"],
  run: async () => {
    using scratch = new Scratch();
    const sweep = await Sweep.of(APPLY, byGuard((await builtHook()).hook, "hook"), scratch);
    const exit = { name: "exit_group", nth: 1, target: "", occurrence: 1 };
    const { code, stderr } = await sweep.fail(0, exit, "SIGKILL");
    assertEquals(code, 0);
    sweep.expect(0, stderr);
    assertMatch(stderr, /running it once more/);
    // The next start is the one after the agent's.
    await run(sweep.starter.start(sweep.host(0)));
    assertEquals(sweep.host(0).installed(), APPLY.old);
  },
});

hostTest({
  name: "a hook and a guard killed at three starts in a row are not begun a fourth time",
  needs: ["root", "strace", "tmpfs"],
  run: async () => {
    using scratch = new Scratch();
    const starter = byGuard((await builtHook()).hook, "group");
    const sweep = await Sweep.of(ROLL_BACK, starter, scratch);
    const [call] = sweep.trace.changes;
    if (!call) throw new Error("no call");
    await sweep.fail(0, call, "SIGKILL");
    const host = sweep.host(0);
    const starts: (string | undefined)[] = [];
    for (let start = 2; start <= 3; start++) {
      await run(starter.start(host, ["-f", "-o", sweep.log(0), "-e", "inject=mkdir:signal=KILL"]));
      starts.push(host.read("root-state/guard_starts"));
    }
    assertEquals(starts, ["2\n", "3\n"]);
    await run(starter.start(host));
    // The guard put back what it could without the hook: a new file is the hook's to remove.
    const agent = host.read("bin/ongrid-edge");
    assertEquals(agent, "agent v1\n");
    assertEquals(host.read("root-state/guard_starts"), undefined);
    await run(starter.start(host));
    assertEquals(host.installed(), ROLL_BACK.wanted);
    assertEquals(host.record("rollback.json")?.reason, "could_not_run");
  },
});
