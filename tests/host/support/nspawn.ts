/** A real systemd: Debian in a container, on a root of its own that is thrown away. */

import { fromFileUrl, join } from "@std/path";
import { debianTree } from "./systemd_tree.ts";

const SCRIPT = fromFileUrl(new URL("systemd_container.sh", import.meta.url));

/** How long a test waits for what the container does, in milliseconds: a busy machine is slow. */
const PATIENCE_MS = 60_000;

/** Pause between two looks at the container, in milliseconds: each one starts a process. */
const LOOK_MS = 50;

/** A command's end. */
export interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** How a command is run in the container. */
export interface RunOptions {
  /** Text for its standard input; without it, there is none. */
  readonly input?: string;
  readonly env?: Record<string, string>;
}

/** A line of the journal. */
export interface JournalLine {
  readonly message: string;
  /** syslog(3): 3 is an error, 4 a warning, 6 for information. */
  readonly priority: number;
  readonly unit: string | undefined;
}

/** Waits until `look` gives something else than undefined or false. */
export async function eventually<T>(
  what: string,
  look: () => T | undefined | false | Promise<T | undefined | false>,
): Promise<T> {
  const deadline = performance.now() + PATIENCE_MS;
  while (performance.now() < deadline) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
  throw new Error(`in vain waited for: ${what}`);
}

let count = 0;

/**
 * Boots a container.
 *
 * @param share lays out, in a directory that goes with the container, what is shown in it read-only;
 * returns directories of this machine by where they are shown.
 */
export async function startContainer(
  share: (directory: string) => Record<string, string> = () => ({}),
): Promise<Container> {
  const tree = await debianTree();
  const directory = Deno.makeTempDirSync({ prefix: "ongrid-nspawn-" });
  const name = `ongrid-test-${Deno.pid}-${++count}`;
  let child: Deno.ChildProcess;
  try {
    Deno.mkdirSync(join(directory, "shared"));
    const binds = Object.entries(share(join(directory, "shared")))
      .map(([inside, path]) => `--bind-ro=${path}:${inside}`);
    child = new Deno.Command("setsid", {
      args: [SCRIPT, name, tree, directory, ...binds],
      stdin: "piped",
      stdout: "piped",
    }).spawn();
  } catch (error) {
    Deno.removeSync(directory, { recursive: true });
    throw error;
  }
  const container = new Container(directory, child);
  try {
    await container.booted();
    return container;
  } catch (error) {
    await container[Symbol.asyncDispose]();
    throw error;
  }
}

/** A running container. It ends with the test, and with the process that runs the tests. */
export class Container implements AsyncDisposable {
  /** Its root directory on this machine. */
  readonly root: string;
  /** What was changed in the root directory since the container was made. */
  readonly upper: string;
  readonly #child: Deno.ChildProcess;
  readonly #watching: Promise<void>;
  /** Pids of nspawn, one a boot. */
  readonly #boots: number[] = [];
  #ended = false;

  constructor(directory: string, child: Deno.ChildProcess) {
    this.root = join(directory, "root");
    this.upper = join(directory, "upper");
    this.#child = child;
    this.#watching = this.#watch();
  }

  /** Waits until everything that starts with the system has started. */
  async booted(boot = 1): Promise<void> {
    await eventually(`boot ${boot} of the container`, async () => {
      if (this.#ended) throw new Error("the container ended");
      if (this.#boots.length < boot || this.#leader() === undefined) return false;
      const { stdout } = await this.attempt(["systemctl", "is-system-running"]);
      return ["running\n", "degraded\n"].includes(stdout);
    });
  }

  /** Restarts the system, and waits for it to be up again. */
  async reboot(): Promise<void> {
    const boot = this.#boots.length + 1;
    // The shutdown may end this very command.
    await this.attempt(["systemctl", "reboot"]);
    await this.booted(boot);
  }

  /** Runs a command inside as root; its exit code does not matter. */
  async attempt(command: readonly string[], options: RunOptions = {}): Promise<Ended> {
    return await this.#enter(["--all"], command, options);
  }

  /**
   * Runs a command inside as root; its standard output.
   *
   * @throws where it fails, with what it said.
   */
  async run(command: readonly string[], options: RunOptions = {}): Promise<string> {
    const { code, stdout, stderr } = await this.attempt(command, options);
    if (code === 0) return stdout;
    throw new Error(`${command.join(" ")}: exit code ${code}\n${stdout}${stderr}`);
  }

  /** Runs a script with a shell inside as root; its standard output. */
  async sh(script: string): Promise<string> {
    return await this.run(["/bin/sh", "-euc", script]);
  }

  /** Runs a program of this machine in the network of the container. */
  async fromItsNetwork(command: readonly string[]): Promise<Ended> {
    return await this.#enter(["--net"], command, {});
  }

  /** The lines of the journal so far, of all boots, that this filter of journalctl lets through. */
  async journal(...filter: string[]): Promise<JournalLine[]> {
    await this.run(["journalctl", "--sync"]);
    const text = await this.run(["journalctl", "--no-pager", "--quiet", "-o", "json", ...filter]);
    return text.split("\n").filter((line) => line !== "").map((line) => {
      const entry = JSON.parse(line);
      return {
        message: String(entry.MESSAGE),
        priority: Number(entry.PRIORITY),
        unit: entry._SYSTEMD_UNIT,
      };
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#child.stdin.close();
    await this.#watching;
    await this.#child.status;
  }

  /** The first process inside, as this machine sees it. */
  #leader(): number | undefined {
    const nspawn = this.#boots.at(-1);
    try {
      const children = Deno.readTextFileSync(`/proc/${nspawn}/task/${nspawn}/children`);
      const [first = ""] = children.split(" ");
      return first === "" ? undefined : Number(first);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return undefined;
      throw error;
    }
  }

  async #enter(
    namespaces: readonly string[],
    command: readonly string[],
    { input, env = {} }: RunOptions,
  ): Promise<Ended> {
    const leader = this.#leader();
    if (leader === undefined) return { code: 1, stdout: "", stderr: "the container is not up" };
    const child = new Deno.Command("nsenter", {
      args: [`--target=${leader}`, ...namespaces, "--", ...command],
      clearEnv: true,
      env: { PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", ...env },
      stdin: input === undefined ? "null" : "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    if (input !== undefined) await feed(child.stdin, input);
    const { code, stdout, stderr } = await child.output();
    const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
    return { code, stdout: decode(stdout), stderr: decode(stderr) };
  }

  /** Takes down the pid of each boot until the container ends. */
  async #watch(): Promise<void> {
    let text = "";
    for await (const chunk of this.#child.stdout.pipeThrough(new TextDecoderStream())) {
      const lines = (text + chunk).split("\n");
      text = lines.pop() ?? "";
      for (const line of lines) this.#boots.push(Number(line));
    }
    this.#ended = true;
  }
}

async function feed(stdin: WritableStream<Uint8Array>, input: string): Promise<void> {
  const writer = stdin.getWriter();
  await writer.write(new TextEncoder().encode(input));
  await writer.close();
}
