import { assertEquals, assertGreater } from "@std/assert";
import { Prng } from "../bundle/prng.ts";
import { forEach, sample } from "./support/pool.ts";
import { timed } from "./support/report.ts";
import { hostTest } from "./support/requirements.ts";
import { SCENARIOS, SPECIAL } from "./support/scenarios.ts";
import { Scratch } from "./support/scratch.ts";
import { callText } from "./support/strace.ts";
import { builtHook } from "./support/built_hook.ts";
import { byItself } from "./support/starters.ts";
import { Sweep } from "./support/sweep.ts";
import { save } from "./support/tree.ts";

/** The whole cross product of kills and kills in the recovery: an hour instead of minutes. */
const FULL = Deno.env.get("ONGRID_TEST_FULL") === "1";

/** Kill points of a special situation. */
const SAMPLED_SPECIAL = 20;

/** First kills, by scenario, whose recovery is killed as well. */
const SAMPLED_FIRST = 6;

/** Kills of each of these recoveries. */
const SAMPLED_SECOND = 2;

const SEED = Prng.seed();

for (const scenario of SCENARIOS) {
  hostTest({
    name: `the built hook, killed at any system call of "${scenario.name}", is finished`,
    needs: ["root", "strace", "tmpfs"],
    run: () =>
      timed(scenario.name, async () => {
        using scratch = new Scratch();
        const sweep = await Sweep.of(scenario, byItself((await builtHook()).hook), scratch);
        const random = new Prng(SEED);
        const { changes } = sweep.trace;
        assertGreater(changes.length, 20);
        assertEquals(await sweep.changesElsewhere(), [], "by another thread than the first");
        const isFull = FULL || !SPECIAL.includes(scenario);
        const calls = isFull ? changes : sample(changes, SAMPLED_SPECIAL, () => random.next());
        await forEach(calls, async (call, worker) => {
          const story = sweep.story(call, "SIGKILL");
          await sweep.fail(worker, call, "SIGKILL");
          sweep.expectWholeFiles(worker, story);
          await sweep.finish(worker, story);
        });
        const how = isFull ? "" : `, sampled, ONGRID_TEST_SEED=${SEED}`;
        return `${calls.length} of ${changes.length} kill points${how}`;
      }),
  });
}

for (const scenario of SCENARIOS) {
  hostTest({
    name: `killed again while it finishes a killed "${scenario.name}", the run after that ends it`,
    needs: ["root", "strace", "tmpfs"],
    run: () =>
      timed(`recovery, ${scenario.name}`, async () => {
        using scratch = new Scratch();
        const sweep = await Sweep.of(scenario, byItself((await builtHook()).hook), scratch);
        const { changes } = sweep.trace;
        const random = new Prng(SEED);
        const firsts = FULL ? changes : sample(changes, SAMPLED_FIRST, () => random.next());
        let points = 0;
        await forEach(firsts, async (call, worker) => {
          await sweep.fail(worker, call, "SIGKILL");
          const snapshot = save(sweep.host(worker).root);
          const recovery = (await sweep.traceAgain(worker)).changes;
          // Each has choices of its own: the workers take turns as the machine has it.
          const own = new Prng(SEED + changes.indexOf(call));
          const seconds = FULL ? recovery : sample(recovery, SAMPLED_SECOND, () => own.next());
          for (const second of seconds) {
            const story = `${sweep.story(call, "SIGKILL")}, then at ${callText(second)}`;
            await sweep.fail(worker, second, "SIGKILL", snapshot);
            sweep.expectWholeFiles(worker, story);
            await sweep.finish(worker, story);
            points += 1;
          }
        });
        const how = FULL ? "" : `, sampled, ONGRID_TEST_SEED=${SEED}`;
        return `${firsts.length} kills, ${points} kills of their recoveries${how}`;
      }),
  });
}

hostTest({
  name: "an apply ends with the rename that makes it an upgrade on trial",
  needs: ["root", "strace", "tmpfs"],
  run: async () => {
    for (const scenario of SCENARIOS.filter(({ record }) => record === "applied.json")) {
      using scratch = new Scratch();
      const { trace } = await Sweep.of(scenario, byItself((await builtHook()).hook), scratch);
      const last = trace.changes.at(-1);
      // A kill behind it would be taken for a start of the new agent, which it never had.
      assertEquals(
        last && callText(last),
        "rename root-state/journal.json root-state/applied.json",
      );
    }
  },
});
