/** One situation of the hook, swept: every call failed in turn, and the host looked at after. */

import { join } from "@std/path";
import { EdgeHost } from "./edge_host.ts";
import { WORKERS } from "./pool.ts";
import { type Ending, run } from "./process.ts";
import type { Scenario } from "./scenarios.ts";
import type { Scratch } from "./scratch.ts";
import {
  type Call,
  callText,
  changesElsewhere,
  type Fault,
  runWithFault,
  type Trace,
  trace,
} from "./strace.ts";
import type { Starter } from "./starters.ts";
import { differences, type Look, look, restore, save, type Snapshot } from "./tree.ts";

/** A host of one worker, and what it looked like at the start. */
interface Bench {
  readonly host: EdgeHost;
  readonly log: string;
  readonly snapshot: Snapshot;
}

/** Holds nobody's state: whoever has the lock writes its process id into it. */
const LOCK = "root-state/lock";

/** A scenario on as many hosts as there are workers. */
export class Sweep {
  readonly #benches: Bench[] = [];

  private constructor(
    readonly scenario: Scenario,
    readonly starter: Starter,
    /** The calls of a run that nothing disturbed. */
    readonly trace: Trace,
    /** What the host looks like after it. */
    readonly wanted: Look,
    benches: Bench[],
  ) {
    this.#benches = benches;
  }

  /** Prepares the hosts and counts the calls of a run that nothing disturbs. */
  static async of(scenario: Scenario, starter: Starter, scratch: Scratch): Promise<Sweep> {
    const benches: Bench[] = [];
    const name = scenario.name.replaceAll(/\W+/g, "-");
    for (let worker = 0; worker < WORKERS; worker++) {
      const host = new EdgeHost(scratch.directory(`${name}/${worker}`));
      starter.prepare(host);
      await scenario.prepare(host, async () => void await run(starter.start(host)));
      const log = join(scratch.path, `${name}-${worker}.log`);
      benches.push({ host, log, snapshot: save(host.root) });
    }
    const [first] = benches;
    if (!first) throw new Error("no worker");
    const { host, log } = first;
    requireSet(host, scenario.old, "prepared");
    const counted = await trace((strace) => starter.start(host, strace), {
      root: host.root,
      log,
    });
    requireSet(host, scenario.wanted, counted.ending.stderr);
    const { record } = scenario;
    if (record && !host.record(record)) throw new Error(`${record} was not written`);
    const wanted = look(host.root, { except: [LOCK, ...starter.except] });
    return new Sweep(scenario, starter, counted, wanted, benches);
  }

  /** The host of a worker. */
  host(worker: number): EdgeHost {
    return this.#bench(worker).host;
  }

  /** Where a worker's strace writes. */
  log(worker: number): string {
    return this.#bench(worker).log;
  }

  /** Puts the worker's host back to the start. */
  reset(worker: number): void {
    const { host, snapshot } = this.#bench(worker);
    restore(host.root, snapshot);
  }

  /** Runs the hook from the start, or from `snapshot`, with one call failing. */
  fail(worker: number, call: Call, fault: Fault, snapshot?: Snapshot): Promise<Ending> {
    const { host, log, snapshot: start } = this.#bench(worker);
    return runWithFault((strace) => this.starter.start(host, strace), {
      call,
      fault,
      root: host.root,
      log,
      prepare: () => restore(host.root, snapshot ?? start),
    });
  }

  /** What an undisturbed run changes by any other thread than the one that is swept. */
  changesElsewhere(): Promise<string[]> {
    this.reset(0);
    const { host, log } = this.#bench(0);
    return changesElsewhere((strace) => this.starter.start(host, strace), { root: host.root, log });
  }

  /** Lists the calls of a run from where the worker's host is now. */
  traceAgain(worker: number): Promise<Trace> {
    const { host, log } = this.#bench(worker);
    return trace((strace) => this.starter.start(host, strace), { root: host.root, log });
  }

  /**
   * Runs the hook until the scenario's set is in place, twice at most: a first run may have to give
   * the agent its start before anything is judged or applied.
   *
   * @throws {Error} a set is mixed, or the host does not look as after an undisturbed run.
   */
  async finish(worker: number, after: string): Promise<void> {
    const { host } = this.#bench(worker);
    const { old, wanted } = this.scenario;
    const first = await run(this.starter.start(host));
    let story = `${this.scenario.name}: ${after}\nthen: ${first.stderr}`;
    if (![old, wanted].includes(host.installed())) {
      throw new Error(`a mixed set is left: ${host.installed()}\n${story}`);
    }
    if (host.installed() !== wanted) story += (await run(this.starter.start(host))).stderr;
    this.expect(worker, story);
  }

  /** @throws {Error} where the host does not look as after an undisturbed run. */
  expect(
    worker: number,
    story: string,
    { except = [] }: { except?: readonly string[] } = {},
  ): void {
    const { host } = this.#bench(worker);
    const found = look(host.root, { except: [LOCK, ...this.starter.except, ...except] });
    const wrong = differences(found, this.wanted)
      .filter((line) => !except.some((path) => line.startsWith(`${path}:`)));
    if (wrong.length > 0) throw new Error(`${story}\n${wrong.join("\n")}`);
  }

  /** @throws {Error} where an agent that is started right now would find half a file, or none. */
  expectWholeFiles(worker: number, story: string): void {
    const damaged = this.host(worker).damaged();
    if (damaged.length > 0) throw new Error(`${story}: ${damaged.join(", ")} is absent or damaged`);
  }

  /** What happened, for messages. */
  story(call: Call, fault: Fault): string {
    const total = this.trace.changes.length;
    const at = this.trace.changes.indexOf(call) + 1;
    return `${fault} at ${callText(call)} (${at > 0 ? `${at} of ${total}` : "in a recovery"})`;
  }

  #bench(worker: number): Bench {
    const bench = this.#benches[worker];
    if (!bench) throw new Error(`no worker ${worker}`);
    return bench;
  }
}

function requireSet(host: EdgeHost, wanted: string, what: string): void {
  if (host.installed() !== wanted) throw new Error(`${what}: ${host.installed()}, not ${wanted}`);
}
