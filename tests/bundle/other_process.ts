/** Builds or stages a bundle in a process of its own, whose umask or limits a test has changed. */

import { buildBundle, type BuildOptions } from "../../lib/bundle/build.ts";
import { stageBundle, type StageOptions } from "../../lib/bundle/stage.ts";
import { describeError } from "../../lib/cli/errors.ts";

/** What the other process shall do. */
export type Work = { build: BuildOptions } | { stage: StageOptions };

/**
 * Does the work behind a line of shell such as `umask 077`: umask and limits belong to the whole
 * process, in which other tests may be running.
 *
 * @returns `"done"`, or the error's message.
 */
export async function runBehind(shell: string, work: Work): Promise<string> {
  const script = new URL(import.meta.url).pathname;
  const { stdout, stderr } = await new Deno.Command("sh", {
    args: ["-c", `${shell}; exec "$@"`, "sh", Deno.execPath(), "run", "-A", "--no-lock"]
      .concat("--cached-only", script, JSON.stringify(work)),
  }).output();
  return new TextDecoder().decode(stdout.length > 0 ? stdout : stderr);
}

async function outcome(work: Work): Promise<string> {
  try {
    if ("build" in work) await buildBundle(work.build);
    else await stageBundle(work.stage);
    return "done";
  } catch (e) {
    return describeError(e).message;
  }
}

if (import.meta.main) {
  const [work = ""] = Deno.args;
  await Deno.stdout.write(new TextEncoder().encode(await outcome(JSON.parse(work))));
}
