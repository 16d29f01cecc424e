/** Finding the system calls of a program that change the host, and failing them one by one. */

import { type Ending, type Invocation, run } from "./process.ts";

/**
 * A system call of a program's first thread. strace counts calls by name and thread, so a call is
 * named the same way.
 */
export interface Call {
  readonly name: string;
  /** The how manieth call of this name on the first thread, from 1 on. */
  readonly nth: number;
  /** The paths it names below the host's directory, without that, random parts as `*`. */
  readonly target: string;
  /** The how manieth of this name with this target, from 1 on. */
  readonly occurrence: number;
}

/** Every call that can change a file system. The `?` lets strace skip what the machine lacks. */
const CHANGES = [
  ...["open", "openat", "openat2", "creat", "write", "pwrite64", "writev", "pwritev", "sendfile"],
  ...["rename", "renameat", "renameat2", "link", "linkat", "symlink", "symlinkat", "mknodat"],
  ...["unlink", "unlinkat", "rmdir", "mkdir", "mkdirat", "truncate", "ftruncate", "fallocate"],
  ...["chmod", "fchmod", "fchmodat", "chown", "fchown", "lchown", "fchownat", "utimensat"],
  ...["fsync", "fdatasync", "sync", "syncfs", "copy_file_range", "setxattr", "fsetxattr"],
];

const READS = ["read", "pread64", "readv", "preadv"];

const UUID = /[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g;

/** A run of the program, with strace and these options in front of it. */
export type Traced = (options: readonly string[]) => Invocation;

/** What a traced run showed. */
export interface Trace {
  readonly ending: Ending;
  /** The calls of the first thread that changed something below the host's directory. */
  readonly changes: readonly Call[];
  /** The calls of the first thread that read something below the host's directory. */
  readonly reads: readonly Call[];
}

/**
 * Runs a program under strace and lists the calls of its first thread, numbered as strace counts
 * them. The host is changed by it.
 */
export async function trace(
  traced: Traced,
  { root, log }: { root: string; log: string },
): Promise<Trace> {
  const ending = await run(traced(["-qq", "-y", "-o", log, ...tracing()]));
  const counts = new Map<string, number>();
  const occurrences = new Map<string, number>();
  const calls: (Call & { text: string })[] = [];
  for (const text of Deno.readTextFileSync(log).split("\n").filter(isCall)) {
    const name = nameOf(text);
    const nth = (counts.get(name) ?? 0) + 1;
    counts.set(name, nth);
    if (!concerns(text, root)) continue;
    const target = targetOf(text, root);
    const occurrence = (occurrences.get(`${name} ${target}`) ?? 0) + 1;
    occurrences.set(`${name} ${target}`, occurrence);
    calls.push({ name, nth, target, occurrence, text });
  }
  return {
    ending,
    changes: calls.filter(({ text }) => isChange(text)).map(withoutText),
    reads: calls.filter(({ name }) => READS.includes(name)).map(withoutText),
  };
}

/** Changes below the host's directory by any other thread or process than the first. */
export async function changesElsewhere(
  traced: Traced,
  { root, log }: { root: string; log: string },
): Promise<string[]> {
  await run(traced(["-f", "-qq", "-y", "-o", log, ...tracing()]));
  const lines = Deno.readTextFileSync(log).split("\n").map(pidAndText);
  const [main] = lines;
  return lines.filter(({ pid, text }) =>
    pid !== main?.pid && isCall(text) && concerns(text, root) && isChange(text)
  ).map(({ text }) => text);
}

/** A change that names what it changes, by whichever process. */
export interface PathCall {
  readonly name: string;
  /** The first path that it names, absolute. */
  readonly path: string;
}

/** What a script and the programs that it starts change below the host's directory, each once. */
export async function pathChanges(
  traced: Traced,
  { root, log }: { root: string; log: string },
): Promise<PathCall[]> {
  await run(traced(["-f", "-qq", "-o", log, ...tracing()]));
  const found = new Map<string, PathCall>();
  for (const { text } of Deno.readTextFileSync(log).split("\n").map(pidAndText)) {
    const path = isCall(text) && isChange(text) && paths(text).find((each) => isBelow(each, root));
    if (path) found.set(`${nameOf(text)} ${path}`, { name: nameOf(text), path });
  }
  return [...found.values()];
}

function tracing(): string[] {
  return ["-e", `trace=${[...CHANGES, ...READS].map((name) => `?${name}`)}`];
}

function pidAndText(line: string): { pid: string; text: string } {
  const [, pid = "", text = ""] = /^(\d+) +(.*)$/.exec(line) ?? [];
  return { pid, text };
}

/** How a call fails: the program dies as it begins it, or it returns this error. */
export type Fault = "SIGKILL" | "EIO" | "ENOSPC" | "EPERM";

/** How often a run in which the call was another one is repeated. */
const MAX_TRIES = 12;

/**
 * Runs a program with one of its calls failing. Only the first thread is traced: strace counts by
 * thread, and the calls of the others are not the program's. The runtime's threads share some work,
 * so a run may count a few calls more or fewer before the one that is meant; such a run is noticed,
 * and repeated with the number that it would have taken.
 *
 * @param prepare puts the host into the state that the call was counted from; called before each try.
 * @throws {Error} where the call was another one than was counted, many times in a row.
 */
export async function runWithFault(
  traced: Traced,
  { call, fault, root, log, prepare }: {
    call: Call;
    fault: Fault;
    root: string;
    log: string;
    prepare: () => void;
  },
): Promise<Ending> {
  let nth = call.nth;
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    prepare();
    const options = faultOptions({ ...call, nth }, fault, log);
    const ending = await run(traced(options));
    const seen = Deno.readTextFileSync(log);
    if (wasHit(seen, { call: { ...call, nth }, fault, root })) return ending;
    const wouldHaveBeen = indexOf(linesOf(seen, call.name), call, root) + 1;
    nth = wouldHaveBeen > 0 ? wouldHaveBeen : nth + 1;
  }
  throw new Error(`${fault} did not hit ${callText(call)} in ${MAX_TRIES} runs`);
}

/** strace's options that make one call fail. */
export function faultOptions({ name, nth }: Call, fault: Fault, log: string): string[] {
  const effect = fault === "SIGKILL" ? "signal=KILL" : `error=${fault}`;
  const inject = `inject=${name}:${effect}:when=${nth}`;
  return ["-y", "-q", "-o", log, "-e", `trace=${name}`, "-e", inject];
}

/** Whether a run's log shows that the fault met the call that it was meant for. */
export function wasHit(
  log: string,
  { call, fault, root }: { call: Call; fault: Fault; root: string },
): boolean {
  const lines = linesOf(log, call.name);
  if (indexOf(lines, call, root) !== call.nth - 1) return false;
  if (fault !== "SIGKILL") return lines[call.nth - 1]?.includes("(INJECTED)") === true;
  return lines.length === call.nth && log.includes("+++ killed by SIGKILL");
}

function linesOf(log: string, name: string): string[] {
  return log.split("\n").filter((line) => line.startsWith(`${name}(`));
}

/** Where among the lines of its name a call is; -1 where the run did not come so far. */
function indexOf(lines: readonly string[], { target, occurrence }: Call, root: string): number {
  let seen = 0;
  return lines.findIndex((line) => targetOf(line, root) === target && ++seen === occurrence);
}

/** A call for messages: `rename bin/ongrid-edge.new bin/ongrid-edge`. */
export function callText({ name, target }: Call): string {
  return `${name} ${target}`;
}

function isCall(text: string): boolean {
  return /^\w+\(/.test(text);
}

function nameOf(text: string): string {
  return text.slice(0, text.indexOf("("));
}

function concerns(text: string, root: string): boolean {
  return paths(text).some((path) => isBelow(path, root));
}

function isBelow(path: string, root: string): boolean {
  return path === root || path.startsWith(`${root}/`);
}

/** A call that failed changed nothing; opening changes something only where it may create. */
function isChange(text: string): boolean {
  const name = nameOf(text);
  if (!CHANGES.includes(name) || / = -1 E/.test(text)) return false;
  return !name.startsWith("open") || /O_CREAT|O_TRUNC/.test(text);
}

function targetOf(text: string, root: string): string {
  return paths(text).filter((path) => isBelow(path, root))
    .map((path) => path.slice(root.length + 1).replaceAll(UUID, "*")).join(" ");
}

/** The paths that a call names, by descriptor or by name; what it writes may look like one. */
function paths(text: string): string[] {
  const call = text.replace(/\) += .*$/, ")");
  const byDescriptor = [...call.matchAll(/\d<([^>]*)>/g)].map(([, path = ""]) => path);
  const isData = /^(p?write|writev|pwritev|p?read|readv|preadv)/.test(call);
  const byName = isData ? [] : [...call.matchAll(/"([^"]*)"/g)].map(([, path = ""]) => path);
  return [...byDescriptor, ...byName];
}

function withoutText({ name, nth, target, occurrence }: Call): Call {
  return { name, nth, target, occurrence };
}
