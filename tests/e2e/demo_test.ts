import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { waitFor } from "../../demo/fleet.ts";
import { linesOf } from "../../demo/lines.ts";
import { ROOT } from "../support/built_programs.ts";

const PATIENCE_MS = 60_000;

/** A demo that is under way, with a directory for temporary files of its own. */
class RunningDemo implements AsyncDisposable {
  readonly directory = Deno.realPathSync(Deno.makeTempDirSync({ prefix: "ongrid-tmp-" }));
  readonly #child: Deno.ChildProcess;
  readonly #said: string[] = [];
  readonly #reading: Promise<void>;
  #hasEnded = false;

  constructor(args: string[]) {
    this.#child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--frozen", "demo/main.ts", ...args],
      cwd: ROOT,
      env: { TMPDIR: this.directory },
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).spawn();
    this.#reading = this.#read();
  }

  /** Waits until the demo says something. */
  async says(text: string): Promise<void> {
    const isSaid = () => {
      if (this.#said.some((line) => line.includes(text))) return true;
      if (!this.#hasEnded) return undefined;
      throw new Error(`The demo ended without a word of "${text}":\n${this.#said.join("\n")}`);
    };
    await waitFor(isSaid, { what: `the demo to say "${text}"`, timeoutMs: PATIENCE_MS });
  }

  /** Sends a signal and waits for the end. */
  async end(signal: Deno.Signal): Promise<Deno.CommandStatus> {
    this.#child.kill(signal);
    return await this.#child.status;
  }

  /** Processes whose command line names the demo's directory. */
  processes(): string[] {
    return [...Deno.readDirSync("/proc")]
      .filter(({ name }) => /^[0-9]+$/.test(name))
      .map(({ name }) => readIfPresent(`/proc/${name}/cmdline`).replaceAll("\0", " "))
      .filter((line) => line.includes(this.directory));
  }

  /** Waits until there is nothing of it any more, neither processes nor files. */
  async isGone(): Promise<void> {
    await waitFor(() => this.left().length === 0 || undefined, {
      what: "the end of everything that the demo had started",
      timeoutMs: 5_000,
    });
  }

  /** What is left of it. */
  left(): string[] {
    return [...this.processes(), ...[...Deno.readDirSync(this.directory)].map(({ name }) => name)];
  }

  async #read(): Promise<void> {
    for await (const line of linesOf(this.#child.stderr)) this.#said.push(line);
    this.#hasEnded = true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#child.kill("SIGTERM");
    } catch (e) {
      // It has ended by itself.
      if (!(e instanceof TypeError) && !(e instanceof Deno.errors.NotFound)) throw e;
    }
    await this.#child.status;
    await this.#reading;
    Deno.removeSync(this.directory, { recursive: true });
  }
}

Deno.test("a demo that is interrupted or terminated stops everything and leaves nothing", async () => {
  for (const [signal, code] of [["SIGINT", 130], ["SIGTERM", 143]] as const) {
    await using demo = new RunningDemo(["--edges", "2"]);
    await demo.says("3. upgrading all");
    assert(demo.processes().length > 2);
    assertEquals((await demo.end(signal)).code, code);
    await demo.isGone();
  }
});

Deno.test("a demo that is killed leaves no process and no directory either", async () => {
  await using demo = new RunningDemo(["--edges", "2"]);
  await demo.says("3. upgrading all");
  await demo.end("SIGKILL");
  await demo.isGone();
});

Deno.test("a demo explains its options, and refuses others", async () => {
  const run = async (...args: string[]) => {
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--frozen", "demo/main.ts", ...args],
      cwd: ROOT,
      stdin: "null",
    }).output();
    return { code, text: new TextDecoder().decode(code === 0 ? stdout : stderr) };
  };
  const help = await run("--help");
  assertEquals(help.code, 0);
  for (const option of ["--edges", "--keep", "--json"]) assertStringIncludes(help.text, option);
  const wrong = await run("--edges", "0");
  assertEquals(wrong.code, 2);
  assertStringIncludes(wrong.text, "--edges");
});

function readIfPresent(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch (e) {
    // It ended between the listing and now.
    if (e instanceof Deno.errors.NotFound || e instanceof Error && "code" in e) return "";
    throw e;
  }
}
