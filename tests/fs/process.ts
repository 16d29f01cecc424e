import { IS_ROOT, Scratch } from "./scratch.ts";

const FS = new URL("../../lib/fs/", import.meta.url).href;
const ERRORS = new URL("../../lib/cli/errors.ts", import.meta.url).href;

/** What a program printed and how it ended. */
export interface Ended {
  readonly stdout: string;
  readonly stderr: string;
  readonly code: number;
  readonly signal: Deno.Signal | null;
}

/**
 * Runs a program in a process of its own, for what belongs to a whole process (umask, current
 * directory, death): tests run in parallel threads of one. Everything that `lib/fs` exports is in
 * scope, and `describeError`.
 *
 * `shell` are commands before it; they end with `exec "$@"`.
 */
export async function runProgram(
  code: string,
  options: { shell?: string; cwd?: string; wrap?: string[]; denoArgs?: string[] } = {},
): Promise<Ended> {
  const { shell = 'exec "$@"', cwd, wrap = [], denoArgs = ["-A"] } = options;
  using scratch = new Scratch();
  const modules = ["copy", "durable", "foreign", "json", "lock", "space"];
  const imports = modules.map((name) => `import * as ${name} from "${FS}${name}.ts";`);
  const all = `const { ${NAMES.join(", ")} } = { ...${modules.join(", ...")} };`;
  const program = scratch.file(
    "program.js",
    [...imports, `import { describeError } from "${ERRORS}";`, all, code].join("\n"),
  );
  const config = new URL("../../deno.json", import.meta.url).pathname;
  const args = ["run", "--no-prompt", "--no-lock", "--config", config, ...denoArgs, program];
  const [command = "", ...rest] = [...wrap, "sh", "-c", shell, "sh", Deno.execPath(), ...args];
  const { stdout, stderr, code: exit, signal } = await new Deno.Command(command, {
    args: rest,
    ...(cwd === undefined ? {} : { cwd }),
  }).output();
  const decoder = new TextDecoder();
  return { stdout: decoder.decode(stdout), stderr: decoder.decode(stderr), code: exit, signal };
}

const NAMES = [
  "acquireLock",
  "copyVerified",
  "ensureDirectory",
  "freeBytes",
  "hashFile",
  "openForeign",
  "readForeign",
  "removeDurable",
  "renameDurable",
  "syncDirectory",
  "tryAcquireLock",
  "writeFileDurable",
  "writeJson",
];

/** True when a condition holds that a test cannot be run under; says so, for `ignore`. */
export function skip(reason: string, { when }: { when: boolean }): boolean {
  if (when) Deno.stderr.writeSync(new TextEncoder().encode(`SKIPPED: ${reason}\n`));
  return when;
}

/** What a full disk made of a call, see {@linkcode onFullDisk}. */
export interface FullDisk {
  message: string;
  hint: string;
  /** The names on the disk afterwards. */
  names: string[];
}

const NAMESPACE = ["unshare", "-m", ...(IS_ROOT ? [] : ["-U", "-r"])];

/** Whether a filesystem of one's own can be mounted here. */
export function canMount(): boolean {
  try {
    const [command = "", ...args] = [...NAMESPACE, "mount", "-t", "tmpfs", "tmpfs", "/mnt"];
    return new Deno.Command(command, { args }).outputSync().success;
  } catch (e) {
    if (e instanceof Deno.errors.NotFound) return false;
    throw e;
  }
}

/**
 * Runs a call that has to fail on a disk of 1 MiB with a file `filler` on it that leaves little
 * room; `path` in it is a new name on that disk.
 */
export async function onFullDisk(call: string): Promise<FullDisk> {
  using disk = new Scratch();
  const code = `const path = ${JSON.stringify(disk.at("big"))};
    Deno.writeFileSync(${JSON.stringify(disk.at("filler"))}, new Uint8Array(900 << 10));
    try { ${call}; } catch (e) {
      const names = Array.from(Deno.readDirSync(${JSON.stringify(disk.path)}), (e) => e.name);
      console.log(JSON.stringify({ ...describeError(e), names }));
    }`;
  const shell = `mount -t tmpfs -o size=1m tmpfs ${disk.path} && exec "$@"`;
  const { stdout, stderr } = await runProgram(code, { shell, wrap: NAMESPACE });
  if (stdout === "") throw new Error(`it did not fail as it should: ${stderr}`);
  return JSON.parse(stdout) as FullDisk;
}
