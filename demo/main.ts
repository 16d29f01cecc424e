/**
 * `deno task demo`: upgrades a fleet of real agents on this machine, in a temporary directory. What
 * runs are the built programs, not the sources.
 */

import { parseCommand } from "../lib/cli/args.ts";
import { runMain } from "../lib/cli/main.ts";
import { createOutput, type Output } from "../lib/cli/output.ts";
import { printKeep } from "./keep.ts";
import { showLogs } from "./logs.ts";
import { DEMO_COMMAND } from "./options.ts";
import { Processes } from "./processes.ts";
import { buildReleases, checkSpace, type Fleet, startFleet } from "./setup.ts";
import { NEW, OLD, Stage } from "./stage.ts";
import { Story } from "./story.ts";

/** Exit codes of a program that was interrupted, as shells have them. */
const INTERRUPTED = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;

type Interruption = keyof typeof INTERRUPTED;

/** Runs the demo; returns the exit code. */
export async function run(args: readonly string[]): Promise<number> {
  const parsed = parseCommand(DEMO_COMMAND, args);
  if (parsed.kind !== "run") {
    createOutput().result(parsed.text);
    return 0;
  }
  const { edges, keep, json } = parsed.options;
  const output = createOutput({ json });
  return await untilInterrupted(async (signal) => {
    await using processes = new Processes(Deno.makeTempDirSync({ prefix: "ongrid-demo-" }));
    const stage = new Stage({ output, processes, signal });
    const { isWell, fleet } = await playOrShowLogs(stage, edges);
    if (keep) {
      printKeep(stage, fleet);
      await aborted(signal);
    }
    return isWell ? 0 : 1;
  }, output);
}

async function playOrShowLogs(stage: Stage, edges: number): ReturnType<typeof play> {
  try {
    return await play(stage, edges);
  } catch (e) {
    if (!stage.signal.aborted) showLogs(stage);
    throw e;
  }
}

async function play(stage: Stage, edges: number): Promise<{ isWell: boolean; fleet: Fleet }> {
  const began = performance.now();
  checkSpace(stage, edges);
  stage.step(`building ${OLD} and ${NEW} of agent, hook and manager, and their bundles`);
  const releases = await buildReleases(stage);
  stage.step(`starting the manager, and ${edges} edges with ${OLD}`);
  const fleet = await startFleet(stage, releases, edges);
  const story = new Story(stage, fleet);
  await story.upgradeAllWithOneBroken();
  await story.repairAndUpgradeAgain();
  await story.upgradeToTheSame();
  await story.downgradeOne();
  return { isWell: await sumUp(stage, story, performance.now() - began), fleet };
}

/** Prints where every edge is; true where that is where it should be, and nothing went wrong. */
async function sumUp({ output }: Stage, story: Story, tookMs: number): Promise<boolean> {
  const endings = await story.endings();
  const right = endings.filter(({ problems }) => problems.length === 0).length;
  const isWell = right === endings.length && story.problems.length === 0;
  const seconds = Math.round(tookMs / 1000);
  const lines = endings.map(({ name, version, expected, problems }) =>
    problems.length === 0
      ? `${name}  ${version}  as it should be`
      : `${name}  ${version}  should be ${expected}: ${problems.join(", ")}`
  );
  const verdict =
    `${right} of ${endings.length} edges are where they should be, after ${seconds} s`;
  const edges = endings.map(({ name, version, expected, problems }) => ({
    name,
    version,
    expected,
    problems,
  }));
  output.event("summary", { edges });
  output.result(
    [...lines, verdict, ...story.problems.map((each) => `problem: ${each}`)].join("\n"),
  );
  return isWell;
}

/** Runs until it is done, or until a signal says to end; what it opened is closed in either case. */
async function untilInterrupted(
  work: (signal: AbortSignal) => Promise<number>,
  output: Output,
): Promise<number> {
  const abort = new AbortController();
  let interruption: Interruption | undefined;
  const listeners = (Object.keys(INTERRUPTED) as Interruption[]).map((name) => {
    const listener = () => {
      if (interruption === undefined) output.info("stopping");
      interruption ??= name;
      abort.abort(new DOMException(`interrupted by ${name}`, "AbortError"));
    };
    Deno.addSignalListener(name, listener);
    return () => Deno.removeSignalListener(name, listener);
  });
  try {
    const code = await work(abort.signal);
    return interruption === undefined ? code : INTERRUPTED[interruption];
  } catch (e) {
    if (interruption === undefined) throw e;
    return INTERRUPTED[interruption];
  } finally {
    for (const remove of listeners) remove();
  }
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
}

if (import.meta.main) {
  Deno.exit(await runMain("demo", () => run(Deno.args)));
}
