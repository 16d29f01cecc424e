/** An edge host in a directory of its own: what is installed there, and what systemd would do. */

import { join } from "@std/path";
import { AGENT_NAME } from "../lib/bundle/owned.ts";
import { RUNTIME_NAME } from "../lib/release/launcher.ts";
import { linkOrCopy } from "../lib/release/replace.ts";
import type { Child, Processes } from "./processes.ts";

/** How a host is made. */
export interface EdgeHostOptions {
  /** The host's root; made, with all that belongs into it. */
  readonly root: string;
  readonly processes: Processes;
  /** The time before the agent is started again, in milliseconds; the unit has 5 s. */
  readonly restartMs?: number;
}

/** Where the files of a release are, by name; see `OWNED_FILES`. */
export type ReleaseFiles = ReadonlyMap<string, string>;

const DEFAULT_RESTART_MS = 200;

/**
 * One edge host. No rights of root are needed: all directories are below its own root, through the
 * overrides that hook, guard and agent have for unusual installs.
 */
export class EdgeHost {
  readonly root: string;
  readonly bin: string;
  readonly lib: string;
  /** The agent's state directory. */
  readonly stage: string;
  /** What is root's own on a real host. */
  readonly rootState: string;
  /** What guard, hook and agent said. */
  readonly log: string;
  /** `NAME=value` lines, read before each start as systemd reads an `EnvironmentFile=`. */
  readonly envFile: string;
  readonly #options: EdgeHostOptions;
  #stopped: AbortController | undefined;
  #service: Promise<void> | undefined;
  #child: Child | undefined;
  #starts = 0;

  constructor(options: EdgeHostOptions) {
    const { root } = options;
    this.#options = options;
    this.root = root;
    this.bin = join(root, "bin");
    this.lib = join(root, "lib");
    this.stage = join(root, "var/.upgrade");
    this.rootState = join(root, "root-state");
    this.log = join(root, "ongrid-edge.log");
    this.envFile = join(root, "ongrid-edge.env");
    for (const directory of [this.bin, this.lib, this.stage, join(root, "tmp")]) {
      Deno.mkdirSync(directory, { recursive: true });
    }
  }

  /** Puts the files of a release into their places; nothing may be there yet. */
  install(files: ReleaseFiles): void {
    for (const [name, path] of files) {
      const target = this.target(name);
      // The runtime has 100 MB, and nobody changes it in place; the rest gets copies of its own.
      if (name === RUNTIME_NAME) linkOrCopy(path, target);
      else Deno.copyFileSync(path, target);
      if (name !== RUNTIME_NAME) Deno.chmodSync(target, 0o755);
    }
  }

  /** Writes the file with the agent's settings; the next start reads it. */
  configure(settings: Readonly<Record<string, string>>): void {
    const lines = Object.entries(settings).map(([name, value]) => `${name}=${value}\n`);
    Deno.writeTextFileSync(this.envFile, lines.join(""), { mode: 0o600 });
  }

  /** The agent's settings as they are now. */
  settings(): Record<string, string> {
    const lines = Deno.readTextFileSync(this.envFile).split("\n").filter((line) => line !== "");
    return Object.fromEntries(lines.map((line) => {
      const at = line.indexOf("=");
      return [line.slice(0, at), line.slice(at + 1)];
    }));
  }

  /** Where a file of a release is on this host. */
  target(name: string): string {
    return join(name === AGENT_NAME ? this.bin : this.lib, name);
  }

  /** The environment of guard, hook and agent, the settings included. */
  environment(): Record<string, string> {
    return {
      PATH: "/usr/local/bin:/usr/bin:/bin",
      HOME: this.root,
      TMPDIR: join(this.root, "tmp"),
      ...this.settings(),
      ONGRID_EDGE_UPGRADE_STAGE_DIR: this.stage,
      ONGRID_EDGE_UPGRADE_BIN_DIR: this.bin,
      ONGRID_EDGE_UPGRADE_LIB_DIR: this.lib,
      ONGRID_EDGE_UPGRADE_ROOT_STATE_DIR: this.rootState,
    };
  }

  /** How often the agent was started so far. */
  get starts(): number {
    return this.#starts;
  }

  /** Starts the service: guard and agent, again and again, until {@linkcode stop}. */
  start(): void {
    if (this.#service !== undefined) return;
    const stopped = new AbortController();
    this.#stopped = stopped;
    this.#service = this.#serve(stopped.signal);
    // Thrown where it is waited for, in stop().
    this.#service.catch(() => {});
    this.#options.processes.stopInTheEnd(this);
  }

  /** Stops the service, as `systemctl stop` does. */
  async stop(): Promise<void> {
    this.#stopped?.abort();
    await this.#child?.stop();
    const service = this.#service;
    this.#service = undefined;
    await service;
  }

  /** Kills what runs right now, agent or guard; the service starts it again. */
  kill(): void {
    this.#child?.signal("SIGKILL");
  }

  /** What `[Service]` of the unit says: ExecStartPre, ExecStart, ExecStopPost, Restart=always. */
  async #serve(stopped: AbortSignal): Promise<void> {
    const agent = this.target(AGENT_NAME);
    const guard = this.target("apply-pending-upgrade.sh");
    while (!stopped.aborted) {
      await this.#run([guard]);
      if (stopped.aborted) return;
      this.#starts++;
      this.#recordExit(await this.#run([agent]));
      await sleep(this.#options.restartMs ?? DEFAULT_RESTART_MS, stopped);
    }
  }

  async #run(command: string[]): Promise<Deno.CommandStatus> {
    const child = this.#options.processes.spawn({
      command,
      env: this.environment(),
      log: this.log,
      cwd: this.root,
    });
    this.#child = child;
    return await child.status;
  }

  /** `$SERVICE_RESULT $EXIT_CODE $EXIT_STATUS`, as the unit's ExecStopPost writes them. */
  #recordExit({ code, signal }: Deno.CommandStatus): void {
    const text = signal !== null
      ? `signal killed ${signal.replace(/^SIG/, "")}`
      : `${code === 0 ? "success" : "exit-code"} exited ${code}`;
    Deno.mkdirSync(this.rootState, { recursive: true });
    Deno.writeTextFileSync(join(this.rootState, "last_exit"), `${text}\n`);
  }
}

function sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, milliseconds);
    signal.addEventListener("abort", end);
  });
}
