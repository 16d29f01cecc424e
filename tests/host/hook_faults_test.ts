import { assertEquals } from "@std/assert";
import { builtHook } from "./support/built_hook.ts";
import { forEach } from "./support/pool.ts";
import { run } from "./support/process.ts";
import { timed } from "./support/report.ts";
import { hostTest } from "./support/requirements.ts";
import { APPLY, ROLL_BACK, type Scenario, SETTLE } from "./support/scenarios.ts";
import { Scratch } from "./support/scratch.ts";
import { byItself } from "./support/starters.ts";
import type { Call, Fault } from "./support/strace.ts";
import { Sweep } from "./support/sweep.ts";
import { look, save, type Snapshot } from "./support/tree.ts";

const FULL = Deno.env.get("ONGRID_TEST_FULL") === "1";

/** The calls that need room on a disk; the others can say that there is none, but never do. */
const NEEDS_ROOM = /^(openat|write|mkdir|link|rename)/;

/** What a fault may leave that no later start depends on: mirrors for people, and why it was late. */
const HARMLESS = [
  /^state\/\.upgrade\//,
  /^root-state\/rollback\.json$/,
  /^root-state\/\.[^/]*\.tmp$/,
  /^root-state\/[^/]*\.corrupt-\d+$/,
];

/** One fault, and all that has to hold after it and after the next start. */
async function survive(
  sweep: Sweep,
  worker: number,
  call: Call,
  fault: Fault,
  from?: Snapshot,
): Promise<void> {
  const { old, wanted, record } = sweep.scenario;
  const host = sweep.host(worker);
  let story = sweep.story(call, fault);
  const { code, stderr } = await sweep.fail(worker, call, fault, from);
  story += `\n${stderr}`;
  assertEquals(code, 0, story);
  const first = host.installed();
  assertEquals([old, wanted].includes(first), true, `a mixed set: ${first}\n${story}`);
  const beside = Object.keys(look(host.root)).filter((path) => /\.new$|previous\.tmp$/.test(path));
  assertEquals(beside, [], story);
  if (sweep.scenario === APPLY && first === old) {
    assertEquals(host.read("bin/ongrid-edge.previous"), undefined, story);
  }
  // The disk is well again. A start that has nothing left to do would be the next upgrade's.
  if (
    first !== wanted || (record && !host.record(record)) || host.read("root-state/journal.json")
  ) {
    story += `\nthen: ${(await run(sweep.starter.start(host))).stderr}`;
  }
  assertEquals(host.installed(), wanted, story);
  const found = Object.keys(look(host.root));
  sweep.expect(worker, story, {
    except: [...found, ...Object.keys(sweep.wanted)].filter((path) =>
      HARMLESS.some((pattern) => pattern.test(path))
    ),
  });
}

function sweepFaults(scenario: Scenario, faults: readonly Fault[], what: "changes" | "reads") {
  hostTest({
    name: `${faults.join(" or ")} at any ${what === "reads" ? "read" : "change"} of ` +
      `"${scenario.name}" leaves one whole set, and the next start goes on`,
    needs: ["root", "strace", "tmpfs"],
    run: () =>
      timed(`${faults.join(", ")}, ${scenario.name}`, async () => {
        using scratch = new Scratch();
        const sweep = await Sweep.of(scenario, byItself((await builtHook()).hook), scratch);
        const points = faults.flatMap((fault) =>
          sweep.trace[what]
            .filter(({ name }) => FULL || fault !== "ENOSPC" || NEEDS_ROOM.test(name))
            .map((call): [Call, Fault] => [call, fault])
        );
        await forEach(points, ([call, fault], worker) => survive(sweep, worker, call, fault));
        return `${points.length} faults of ${what}`;
      }),
  });
}

hostTest({
  name: "EIO at any call that finishes a half-done swap leaves one whole set",
  needs: ["root", "strace", "tmpfs"],
  run: () =>
    timed("EIO, recovery of apply", async () => {
      using scratch = new Scratch();
      const sweep = await Sweep.of(APPLY, byItself((await builtHook()).hook), scratch);
      const cut = sweep.trace.changes.find(({ target }) =>
        target === "bin/ongrid-edge.new bin/ongrid-edge"
      );
      if (!cut) throw new Error("no rename of the agent");
      await sweep.fail(0, cut, "SIGKILL");
      assertEquals([APPLY.old, APPLY.wanted].includes(sweep.host(0).installed()), false);
      const snapshots = [save(sweep.host(0).root)];
      await sweep.fail(1, cut, "SIGKILL");
      snapshots.push(save(sweep.host(1).root));
      const { changes, reads } = await sweep.traceAgain(0);
      const points = [...changes, ...reads];
      await forEach(
        points,
        (call, worker) => survive(sweep, worker, call, "EIO", snapshots[worker]),
      );
      return `${points.length} faults of changes and reads`;
    }),
});

for (const scenario of [APPLY, SETTLE, ROLL_BACK]) {
  sweepFaults(scenario, ["EIO", "ENOSPC"], "changes");
  sweepFaults(scenario, ["EIO"], "reads");
}
