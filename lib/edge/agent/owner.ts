/** Root works in the state directory as the account that owns it, never as root. */

import { fromFileUrl } from "@std/path";
import { OngridError } from "../../cli/errors.ts";

/** A user and group by number. */
export interface Account {
  readonly uid: number;
  readonly gid: number;
}

/** A command line: program and arguments. */
export type CommandLine = readonly string[];

/** Where distributions keep the two programs; `PATH` of a root shell may be anything. */
const DIRECTORIES = ["/usr/bin", "/bin", "/usr/sbin", "/sbin"];

/** How this program is started again, in a checkout, as a bundle, or compiled. */
export function ownCommand(): CommandLine {
  if (Deno.build.standalone) return [Deno.execPath()];
  const main = fromFileUrl(Deno.mainModule);
  // A bundled program starts its runtime itself, with the flags it needs.
  return main.endsWith(".ts") ? [Deno.execPath(), "run", "-A", main] : [main];
}

/**
 * The command lines that run `command` as another account, the preferred first. Empty where this
 * host has neither `setpriv` nor `runuser`.
 *
 * @param userName of the account; without one, `runuser` cannot be used.
 */
export function asAccount(
  command: CommandLine,
  account: Account,
  options: { userName: string | undefined; exists?: (path: string) => boolean },
): CommandLine[] {
  const exists = options.exists ?? isFile;
  const find = (name: string) => DIRECTORIES.map((each) => `${each}/${name}`).find(exists);
  const lines: CommandLine[] = [];
  const setpriv = find("setpriv");
  if (setpriv) {
    const { uid, gid } = account;
    lines.push([setpriv, `--reuid=${uid}`, `--regid=${gid}`, "--clear-groups", "--", ...command]);
  }
  const runuser = find("runuser");
  if (runuser && options.userName !== undefined) {
    lines.push([runuser, "-u", options.userName, "--", ...command]);
  }
  return lines;
}

/** The name of a user in the text of `/etc/passwd`; undefined where it has none. */
export function userNameOf(uid: number, passwd: string): string | undefined {
  const line = passwd.split("\n").find((each) => each.split(":")[2] === String(uid));
  return line?.split(":")[0];
}

/**
 * Runs a command with this program's output and waits for it.
 *
 * @param input is written to its standard input; without it, there is none.
 * @returns its exit code.
 */
export async function runCommand(
  line: CommandLine,
  input: ReadableStream<Uint8Array> | undefined,
): Promise<number> {
  const [program = "", ...args] = line;
  const child = new Deno.Command(program, {
    args,
    stdin: input ? "piped" : "null",
    stdout: "inherit",
    stderr: "inherit",
    // Root's home is closed to that account.
    env: { HOME: "/" },
  }).spawn();
  // A child that ends early says why by its exit code; what is piped in may never come to an end.
  const over = new AbortController();
  const piping = input?.pipeTo(child.stdin, { signal: over.signal }).catch(() => {});
  const status = await child.status;
  over.abort();
  await piping;
  if (status.signal !== null) {
    throw new OngridError(`${program} was killed by ${status.signal}`);
  }
  return status.code;
}

function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
