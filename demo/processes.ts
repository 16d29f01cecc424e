/** The processes of a demo or test, all of which end with it, however it ends. */

/** How a process is started. */
export interface SpawnOptions {
  /** Program and arguments. */
  readonly command: readonly string[];
  /** The whole environment: nothing is inherited. */
  readonly env: Readonly<Record<string, string>>;
  /** The file that its stderr is appended to, and its stdout unless that is `piped`. */
  readonly log: string;
  readonly stdout?: "piped" | "log";
  readonly cwd?: string;
}

/** A process that was started, the leader of a process group of its own. */
export interface Child {
  readonly pid: number;
  readonly status: Promise<Deno.CommandStatus>;
  /** Present where the stdout is `piped`. */
  readonly stdout: ReadableStream<Uint8Array> | undefined;
  /** Sends a signal to the process; one that has ended is left alone. */
  signal(name: Deno.Signal): void;
  /** SIGTERM, and SIGKILL for it and what it started where it does not end in time. */
  stop(graceMs?: number): Promise<void>;
}

/** Something that starts processes anew until it is stopped. */
export interface Service {
  stop(): Promise<void>;
}

/** How long a process may take to end in order, in milliseconds. */
const GRACE_MS = 2_000;

/**
 * Reads `+ PID` and `- PID` lines. When they end, because whoever wrote them has ended, it kills what
 * is left of the process groups and removes the directory.
 */
const REAPER = `trap '' INT TERM HUP
list=
while read -r sign pid; do
  if [ "$sign" = + ]; then list="$list $pid"; continue; fi
  rest=; for each in $list; do [ "$each" = "$pid" ] || rest="$rest $each"; done; list=$rest
done
for each in $list; do kill -KILL "-$each" 2>/dev/null; done
for attempt in 1 2 3 4 5 6 7 8; do
  rm -rf -- "$1"
  if [ ! -e "$1" ]; then break; fi
  sleep 0.2 # something that was killed was still writing
done`;

/** Starts processes and sees to it that none is left, and no directory either. */
export class Processes implements AsyncDisposable {
  /** Removed in the end, with everything in it. */
  readonly directory: string;
  readonly #reaper: Deno.ChildProcess;
  readonly #lines: WritableStreamDefaultWriter<Uint8Array>;
  readonly #running = new Set<Child>();
  readonly #services = new Set<Service>();

  /** @param directory is taken over: it belongs to these processes alone. */
  constructor(directory: string) {
    this.directory = directory;
    // In a group of its own, or Ctrl-C on a terminal would end it together with what it looks after.
    this.#reaper = new Deno.Command("/bin/sh", {
      args: ["-c", REAPER, "ongrid-reaper", directory],
      cwd: "/",
      stdin: "piped",
      stdout: "null",
      stderr: "null",
      detached: true,
    }).spawn();
    this.#lines = this.#reaper.stdin.getWriter();
  }

  /** Starts a process. */
  spawn({ command, env, log, stdout = "log", cwd = "/" }: SpawnOptions): Child {
    const redirect = stdout === "log" ? `>>"$0" 2>&1` : `2>>"$0"`;
    const process = new Deno.Command("/bin/sh", {
      args: ["-c", `exec "$@" ${redirect}`, log, ...command],
      cwd,
      clearEnv: true,
      env: { ...env },
      stdin: "null",
      stdout: stdout === "piped" ? "piped" : "null",
      stderr: "null",
      detached: true,
    }).spawn();
    const child = new RunningChild(process, stdout === "piped" ? process.stdout : undefined);
    this.#running.add(child);
    const noted = this.#tell(`+ ${child.pid}`);
    void child.status.then(async () => {
      this.#running.delete(child);
      await noted;
      await this.#tell(`- ${child.pid}`);
    });
    return child;
  }

  /** Has a service stopped in the end, before the processes. */
  stopInTheEnd(service: Service): void {
    this.#services.add(service);
  }

  /** Stops what still runs and removes the directory. */
  async [Symbol.asyncDispose](): Promise<void> {
    const services = await Promise.allSettled([...this.#services].map((each) => each.stop()));
    await Promise.all([...this.#running].map((child) => child.stop()));
    await this.#lines.close();
    await this.#reaper.status;
    for (const end of services) if (end.status === "rejected") throw end.reason;
  }

  async #tell(line: string): Promise<void> {
    try {
      await this.#lines.write(new TextEncoder().encode(`${line}\n`));
    } catch (e) {
      // Told of the last ends after everything was stopped: there is nobody left to tell.
      if (!(e instanceof TypeError)) throw e;
    }
  }
}

class RunningChild implements Child {
  readonly pid: number;
  readonly status: Promise<Deno.CommandStatus>;
  readonly stdout: ReadableStream<Uint8Array> | undefined;
  #ended = false;

  constructor(process: Deno.ChildProcess, stdout: ReadableStream<Uint8Array> | undefined) {
    this.pid = process.pid;
    this.stdout = stdout;
    this.status = process.status.finally(() => this.#ended = true);
  }

  signal(name: Deno.Signal): void {
    this.#kill(this.pid, name);
  }

  async stop(graceMs = GRACE_MS): Promise<void> {
    // All of its group, as systemd does: what it has started must not outlive it.
    this.#kill(-this.pid, "SIGTERM");
    const timer = setTimeout(() => this.#kill(-this.pid, "SIGKILL"), graceMs);
    await this.status;
    clearTimeout(timer);
    sendSignal(-this.pid, "SIGKILL");
  }

  #kill(target: number, name: Deno.Signal): void {
    // Once it was waited for, another process may have its number.
    if (!this.#ended) sendSignal(target, name);
  }
}

function sendSignal(target: number, name: Deno.Signal): void {
  try {
    Deno.kill(target, name);
  } catch (e) {
    if (!(e instanceof Deno.errors.NotFound)) throw e;
  }
}
