import { assertEquals, assertMatch } from "@std/assert";
import { join } from "@std/path";
import { Prng } from "../bundle/prng.ts";
import { ordinaryFiles } from "../support/hook_host.ts";
import { builtHook } from "./support/built_hook.ts";
import { EdgeHost } from "./support/edge_host.ts";
import { forEach, sample } from "./support/pool.ts";
import { run } from "./support/process.ts";
import { say, timed } from "./support/report.ts";
import { hostTest } from "./support/requirements.ts";
import { APPLY, LEGACY, ROLL_BACK } from "./support/scenarios.ts";
import { Scratch } from "./support/scratch.ts";
import { onManyDisks, type Starter, withoutLinks } from "./support/starters.ts";
import { Sweep } from "./support/sweep.ts";
import { differences, look } from "./support/tree.ts";

const FULL = Deno.env.get("ONGRID_TEST_FULL") === "1";

/** Kill points by scenario where not all are taken. */
const SAMPLED = 16;

const PAGE = 4096;

/** The bundle of these tests is larger than the free space, whatever the file system rounds to. */
const LARGE = "x".repeat(200_000);

function largeFiles() {
  const files = ordinaryFiles("v2");
  const { "ongrid-edge": agent, promtail } = files;
  if (!agent || !promtail) throw new Error("no agent");
  return {
    ...files,
    "ongrid-edge": { ...agent, content: LARGE },
    promtail: { ...promtail, content: LARGE },
  };
}

async function start(host: EdgeHost): Promise<string> {
  const { code, stderr } = await run(host.start((await builtHook()).hook));
  assertEquals(code, 0, stderr);
  return stderr;
}

/** The old set is whole and nothing of the new one lies beside it. */
function expectUntouched(host: EdgeHost, story: string): void {
  assertEquals(host.installed(), APPLY.old, story);
  const beside = Object.keys(look(host.root)).filter((path) =>
    /\.(new|previous|tmp)$/.test(path) && path !== "bin/neighbour.previous"
  );
  assertEquals(beside, [], story);
}

for (const place of ["bin", "lib"] as const) {
  for (const options of ["size=128k", "size=4m,nr_inodes=7"]) {
    hostTest({
      name: `${place} with ${options} is too small: the old set stays, and the bundle waits`,
      needs: ["root", "tmpfs"],
      run: async () => {
        using scratch = new Scratch();
        const host = new EdgeHost(scratch.directory("host"));
        scratch.mount(host[place], options);
        host.clear();
        host.install("v1");
        host.stageBundle("v2", largeFiles());
        // As many inodes as are left after the old files, short of what the swap needs.
        if (options.includes("inodes")) fillInodes(host[place]);
        const before = look(host[place]);
        expectUntouched(host, await start(host));
        assertEquals(differences(look(host[place]), before), []);
        assertEquals(host.record("rollback.json")?.state, "deferred");
        assertMatch(String(host.record("rollback.json")?.detail), /space|free/);
        scratch.remount(host[place], "size=8m,nr_inodes=100");
        await start(host);
        assertEquals(host.read("bin/ongrid-edge"), LARGE);
        assertEquals(host.read("lib/promtail"), LARGE);
        assertEquals(host.record("applied.json")?.version, "v2");
      },
    });
  }
}

for (const place of ["rootState", "stage"] as const) {
  hostTest({
    name: `${place} with any number of free pages: one whole set, and the next start goes on`,
    needs: ["root", "tmpfs"],
    run: async () => {
      for (let free = 0; free <= 6; free++) {
        using scratch = new Scratch();
        const host = new EdgeHost(scratch.directory("host"));
        scratch.mount(host[place], "size=256k,mode=755");
        host.clear();
        await APPLY.prepare(host, () => Promise.resolve());
        const filler = fillPages(host[place], free);
        let story = `${free} pages free: ${await start(host)}`;
        const first = host.installed();
        if (first !== APPLY.wanted) expectUntouched(host, story);
        Deno.removeSync(filler);
        if (first !== APPLY.wanted || host.read("root-state/journal.json")) {
          story += await start(host);
        }
        assertEquals(host.installed(), APPLY.wanted, story);
        assertEquals(host.record("applied.json")?.version, "v2", story);
      }
    },
  });
}

hostTest({
  name: "a swap cut off half way is completed although root's records have no room left",
  needs: ["root", "strace", "tmpfs"],
  run: async () => {
    using scratch = new Scratch();
    const sweep = await Sweep.of(
      APPLY,
      onManyDisks((await builtHook()).hook, scratch),
      scratch,
    );
    const cut = sweep.trace.changes.find(({ target }) => target.startsWith("bin/ongrid-edge.new "));
    if (!cut) throw new Error("no rename of the agent");
    await sweep.fail(0, cut, "SIGKILL");
    const host = sweep.host(0);
    assertEquals([APPLY.old, APPLY.wanted].includes(host.installed()), false);
    // Not even the lock has a page that it could use again.
    Deno.truncateSync(join(host.rootState, "lock"));
    fillPages(host.rootState, 0);
    const story = await start(host);
    assertEquals(host.installed(), APPLY.wanted, story);
    assertEquals(host.record("applied.json")?.version, "v2", story);
  },
});

hostTest({
  name: "a destination that is mounted read-only keeps the old set, and the bundle waits",
  needs: ["root", "tmpfs"],
  run: async () => {
    for (const place of ["bin", "lib"] as const) {
      using scratch = new Scratch();
      const host = new EdgeHost(scratch.directory("host"));
      scratch.mount(host[place], "size=4m");
      host.clear();
      await APPLY.prepare(host, () => Promise.resolve());
      scratch.remount(host[place], "ro");
      expectUntouched(host, await start(host));
      assertEquals(host.record("rollback.json")?.state, "deferred");
      scratch.remount(host[place], "rw");
      await start(host);
      assertEquals(host.installed(), APPLY.wanted);
    }
  },
});

hostTest({
  name: "a destination directory that is missing is made",
  needs: ["root", "tmpfs"],
  run: async () => {
    using scratch = new Scratch();
    const host = new EdgeHost(scratch.directory("host"));
    Deno.removeSync(host.lib);
    host.write("bin/ongrid-edge", "agent v1\n", 0o755);
    host.stageBundle("v2");
    const story = await start(host);
    assertEquals(host.installed(), "all v2", story);
    assertEquals((Deno.statSync(host.lib).mode ?? 0) & 0o7777, 0o755);
    await start(host);
    assertEquals(host.destinations(), { "ongrid-edge": "agent v1\n" });
  },
});

/** Kills all over a scenario on a host of a special kind. */
function sweepSpecial(what: string, starterOf: (hook: string, scratch: Scratch) => Starter): void {
  hostTest({
    name: `${what}: the built hook survives a kill anywhere`,
    needs: ["root", "strace", "tmpfs"],
    run: async () => {
      const seed = Prng.seed();
      const random = new Prng(seed);
      say(FULL ? "every kill point" : `sampled, ONGRID_TEST_SEED=${seed}`);
      for (const scenario of [APPLY, ROLL_BACK, LEGACY]) {
        await timed(`${what}, ${scenario.name}`, async () => {
          using scratch = new Scratch();
          const starter = starterOf((await builtHook()).hook, scratch);
          const sweep = await Sweep.of(scenario, starter, scratch);
          const { changes } = sweep.trace;
          const calls = FULL ? changes : sample(changes, SAMPLED, () => random.next());
          await forEach(calls, async (call, worker) => {
            const story = sweep.story(call, "SIGKILL");
            await sweep.fail(worker, call, "SIGKILL");
            sweep.expectWholeFiles(worker, story);
            await sweep.finish(worker, story);
          });
          return `${calls.length} of ${changes.length} kill points`;
        });
      }
    },
  });
}

sweepSpecial("programs, plugins and root's state each on a file system of its own", onManyDisks);
sweepSpecial("a file system without hard links", withoutLinks);

/** Leaves this many pages free; returns the file that takes the rest. */
function fillPages(directory: string, free: number): string {
  const filler = join(directory, "filler");
  using file = Deno.openSync(filler, { write: true, create: true });
  const page = new Uint8Array(PAGE).fill(1);
  let pages = 0;
  try {
    for (;; pages++) file.writeSync(page);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ENOSPC")) throw error;
  }
  file.truncateSync((pages - free) * PAGE);
  return filler;
}

function fillInodes(directory: string): void {
  try {
    for (let n = 0;; n++) Deno.writeTextFileSync(join(directory, `filler${n}`), "");
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ENOSPC")) throw error;
  }
}
