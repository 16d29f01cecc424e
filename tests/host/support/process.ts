/** Starting programs the way an init system does: with an environment of their own. */

/** A program to start. */
export interface Invocation {
  readonly command: string;
  readonly args?: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/** How it ended. */
export interface Ending {
  readonly code: number;
  readonly signal: Deno.Signal | null;
  /** Standard output and error together do not mix well: this is error, where the lines go. */
  readonly stderr: string;
  readonly stdout: string;
}

/** What systemd gives a service, and nothing of the shell that the tests were started from. */
const BASE_ENV = { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL: "C", HOME: "/root" };

/** The options for `Deno.Command`. */
export function commandOptions({ args = [], env }: Invocation): Deno.CommandOptions {
  return {
    args: [...args],
    env: { ...BASE_ENV, ...env },
    clearEnv: true,
    cwd: "/",
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  };
}

/** Runs a program to its end. */
export async function run(invocation: Invocation): Promise<Ending> {
  const output = await new Deno.Command(invocation.command, commandOptions(invocation)).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  const { code, signal } = output;
  return { code, signal, stderr: text(output.stderr), stdout: text(output.stdout) };
}

/** The same program with a wrapper in front, such as `strace`. */
export function wrapped(
  wrapper: string,
  options: readonly string[],
  { command, args = [], env }: Invocation,
): Invocation {
  return { command: wrapper, args: [...options, command, ...args], env };
}
