import { assert, assertEquals, assertGreater } from "@std/assert";
import { join } from "@std/path";
import { builtHook, SHELL_HOOK } from "./support/built_hook.ts";
import { EdgeHost } from "./support/edge_host.ts";
import { killGroupAt } from "./support/guard_kills.ts";
import { forEach, WORKERS } from "./support/pool.ts";
import { type Invocation, run, wrapped } from "./support/process.ts";
import { timed } from "./support/report.ts";
import { hostTest } from "./support/requirements.ts";
import { APPLY, RESCUED, ROLL_BACK } from "./support/scenarios.ts";
import { Scratch } from "./support/scratch.ts";
import { byGuard, byItself } from "./support/starters.ts";
import { type PathCall, pathChanges } from "./support/strace.ts";
import { Sweep } from "./support/sweep.ts";
import { look, restore, save, type Snapshot } from "./support/tree.ts";

/** A program that stands for a hook that cannot run on this host. */
const BROKEN = "/bin/false";

/** A state in which the guard starts, and the hook it finds. */
interface Situation {
  readonly name: string;
  readonly hook: "broken" | "built";
  readonly prepare: (host: EdgeHost, start: () => Promise<void>) => Promise<void>;
  /** What the calls that are killed have to do with; default: anything. */
  readonly only?: RegExp;
  /** The set after the guard's next start, with the same hook. */
  readonly wanted: string;
  /** The set after one more start, with a hook that runs; none of an upgrade that was rescued. */
  readonly then: string;
}

const SITUATIONS: Situation[] = [
  {
    name: "the hook cannot run: the previous files go back",
    hook: "broken",
    prepare: ROLL_BACK.prepare,
    wanted: RESCUED,
    then: APPLY.old,
  },
  {
    name: "the hook hung three times: the previous files go back",
    hook: "broken",
    prepare: async (host, start) => {
      await ROLL_BACK.prepare(host, start);
      host.write("root-state/guard_starts", "3\n");
    },
    wanted: RESCUED,
    then: APPLY.old,
  },
  {
    name: "another hook applied it: the previous files go back by the markers",
    hook: "broken",
    prepare: async (host) => {
      host.install("v1");
      host.stageBundle("v2");
      await run(host.start("bash", SHELL_HOOK));
    },
    wanted: RESCUED,
    then: RESCUED,
  },
  {
    name: "an ordinary start that applies",
    hook: "built",
    prepare: APPLY.prepare,
    only: /guard_starts|deno/,
    wanted: "all v2",
    then: "all v2",
  },
];

/** One host on which a situation is tried again and again. */
class Bench {
  readonly host: EdgeHost;
  readonly log: string;
  #snapshot: Snapshot = [];

  constructor(root: string, readonly situation: Situation, readonly hook: string) {
    this.host = new EdgeHost(root);
    this.log = `${root}.log`;
  }

  async prepare(): Promise<this> {
    const starter = byItself(this.hook);
    byGuard(this.hook, "hook").prepare(this.host);
    await this.situation.prepare(this.host, async () => void await run(starter.start(this.host)));
    this.#snapshot = save(this.host.root);
    return this;
  }

  reset(): void {
    restore(this.host.root, this.#snapshot);
  }

  /** The guard, with the situation's hook or with one that runs. */
  guard(which: "broken" | "built" = this.situation.hook): Invocation {
    const start = byGuard(this.hook, "hook").start(this.host);
    return { ...start, env: { ...start.env, TEST_HOOK: which === "built" ? this.hook : BROKEN } };
  }

  /** Everything that the guard changes by itself. */
  async calls(): Promise<PathCall[]> {
    const traced = (strace: readonly string[]) => wrapped("strace", strace, this.guard());
    const found = await pathChanges(traced, { root: this.host.root, log: this.log });
    assertEquals(this.host.installed(), this.situation.wanted);
    this.reset();
    const { only } = this.situation;
    return found.filter(({ path }) => only?.test(path) ?? true);
  }
}

async function survive(bench: Bench, call: PathCall): Promise<void> {
  const { host, situation } = bench;
  const story = `${situation.name}: killed at ${call.name} ${call.path}`;
  bench.reset();
  assert(await killGroupAt(bench.guard(), call, bench.log), `${story}: not reached`);
  assertEquals(host.damaged(), [], story);
  const { code, stderr } = await run(bench.guard());
  assertEquals(code, 0, story);
  assertEquals(host.installed(), situation.wanted, `${story}\n${stderr}`);
  // A start of the agent lies between: what is on trial now is judged by its marker.
  host.mark("healthy_marker", "v2\n");
  await run(bench.guard("built"));
  assertEquals(host.installed(), situation.then, story);
  const left = Object.keys(look(host.root)).filter((path) =>
    /\.(new|tmp)$|guard_starts|journal|rescue|incoming/.test(path)
  );
  assertEquals(left, [], story);
}

for (const situation of SITUATIONS) {
  hostTest({
    name: `the guard is killed at any of its own calls: ${situation.name}`,
    needs: ["root", "strace", "tmpfs"],
    run: () =>
      timed(`guard killed, ${situation.name}`, async () => {
        using scratch = new Scratch();
        const { hook } = await builtHook();
        const benches: Bench[] = [];
        for (let worker = 0; worker < WORKERS; worker++) {
          const bench = new Bench(join(scratch.path, String(worker)), situation, hook);
          benches.push(await bench.prepare());
        }
        const [first] = benches;
        const calls = await first?.calls() ?? [];
        assertGreater(calls.length, 3);
        await forEach(calls, (call, worker) => {
          const bench = benches[worker];
          if (!bench || !first) throw new Error(`no worker ${worker}`);
          const path = call.path.replace(first.host.root, bench.host.root);
          return survive(bench, { ...call, path });
        });
        return `${calls.length} kill points`;
      }),
  });
}

hostTest({
  name: "one file under both names: the guard takes the second name away, and nothing is lost",
  needs: ["root", "strace", "tmpfs"],
  run: async () => {
    using scratch = new Scratch();
    const { hook } = await builtHook();
    const starter = byGuard(hook, "group");
    const sweep = await Sweep.of(APPLY, starter, scratch);
    const links = sweep.trace.changes.filter(({ name }) => name.startsWith("link"));
    const cut = sweep.trace.changes.find(({ target }) => target.startsWith("lib/promtail.new "));
    if (!cut) throw new Error("no rename");
    await sweep.fail(0, cut, "SIGKILL");
    const host = sweep.host(0);
    const inode = (path: string) => Deno.statSync(join(host.root, path)).ino;
    assertEquals(links.length, 3);
    assertEquals(inode("lib/promtail"), inode("lib/promtail.previous"));
    const start = starter.start(host);
    await run({ ...start, env: { ...start.env, TEST_HOOK: BROKEN } });
    assertEquals(host.installed(), APPLY.old);
    assertEquals(host.read("lib/promtail.previous"), undefined);
    await run(start);
    assertEquals(host.installed(), APPLY.old);
    assertEquals(host.record("rollback.json")?.reason, "could_not_run");
    assertEquals(Object.keys(look(host.root)).filter((path) => path.endsWith(".new")), []);
  },
});

hostTest({
  name: "a file that the disk will not put back is tried again at the next start",
  needs: ["root", "strace", "tmpfs"],
  run: async () => {
    using scratch = new Scratch();
    const { hook } = await builtHook();
    const situation = SITUATIONS[0];
    if (!situation) throw new Error("no situation");
    const bench = await new Bench(join(scratch.path, "host"), situation, hook).prepare();
    const { host } = bench;
    const failing = ["-f", "-qq", "-o", bench.log, "-P", join(host.bin, "ongrid-edge.previous")];
    const fault = ["-e", "inject=?rename,?renameat,?renameat2,?copy_file_range,?openat:error=EIO"];
    const { code } = await run(wrapped("strace", [...failing, ...fault], bench.guard()));
    assertEquals(code, 0);
    assertEquals(host.read("bin/ongrid-edge"), "agent v2\n");
    await run(bench.guard());
    assertEquals(host.installed(), RESCUED);
    await run(bench.guard("built"));
    assertEquals(host.installed(), APPLY.old);
  },
});
