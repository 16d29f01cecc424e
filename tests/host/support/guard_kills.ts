/** Killing a script together with whatever it has just started. */

import { commandOptions, type Invocation, wrapped } from "./process.ts";
import type { PathCall } from "./strace.ts";
import { until } from "./until.ts";

/**
 * Starts a script in a process group of its own, and kills the whole group when any process of it
 * begins the call. strace can kill but the one process that makes a call, and a shell would go on: so
 * it holds the call back instead, until all have been killed.
 *
 * @returns false where the script ended without making the call.
 */
export async function killGroupAt(
  invocation: Invocation,
  { name, path }: PathCall,
  log: string,
): Promise<boolean> {
  Deno.writeTextFileSync(log, "");
  const options = ["strace", "-f", "-qq", "-o", log, "-P", path, "-e", `trace=${name}`];
  const delay = ["-e", `inject=${name}:delay_enter=60s`];
  const { args } = wrapped("setsid", [...options, ...delay], invocation);
  const command = { command: "setsid", args: args ?? [], env: invocation.env };
  const child = new Deno.Command(command.command, commandOptions(command)).spawn();
  let ended = false;
  const output = child.output().then(() => ended = true);
  const isHeld = () => Deno.readTextFileSync(log).includes(`${name}(`);
  await until(`${name} ${path}`, () => ended || isHeld());
  if (!ended) Deno.kill(-child.pid, "SIGKILL");
  await output;
  return isHeld();
}
