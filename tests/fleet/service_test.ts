import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { eventually } from "./support/eventually.ts";

const ENTRY = fromFileUrl(new URL("../../manager.ts", import.meta.url));

/** Connections that one client opens; more than the manager of the test may have open. */
const CONNECTIONS = 150;

/** A `manager run` as a process of its own; what it writes to stderr is in `text`. */
class Service implements AsyncDisposable {
  text = "";
  readonly #child: Deno.ChildProcess;
  readonly #read: Promise<void>;
  #code: number | undefined;

  /** @param shell what the shell does before it becomes the manager */
  constructor(directory: string, env: Record<string, string>, shell = "true") {
    const command = `${shell} && exec "$0" run -A "$1" run --db "$2"`;
    this.#child = new Deno.Command("/bin/sh", {
      args: ["-c", command, Deno.execPath(), ENTRY, join(directory, "m.db")],
      env: {
        ONGRID_HTTP_ADDR: "127.0.0.1:0",
        ONGRID_EDGEBOUND_ADDR: "127.0.0.1:0",
        DENO_NO_UPDATE_CHECK: "1",
        NO_COLOR: "1",
        ...env,
      },
      stdout: "null",
      stderr: "piped",
    }).spawn();
    this.#read = this.#follow();
  }

  /** The exit code, once it has ended. */
  async ended(): Promise<number> {
    return await eventually("it ends", () => this.#code);
  }

  /** Resolves with the HTTP address once it listens. */
  async listening(): Promise<string> {
    return await eventually("it listens", () => /HTTP on (\S+),/.exec(this.text)?.[1]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#child.kill("SIGTERM");
    } catch (e) {
      // It has ended by itself already.
      if (!(e instanceof TypeError)) throw e;
    }
    await this.#read;
  }

  async #follow(): Promise<void> {
    for await (const text of this.#child.stderr.pipeThrough(new TextDecoderStream())) {
      this.text += text;
    }
    this.#code = (await this.#child.status).code;
  }
}

async function inDirectory(work: (directory: string) => Promise<void>): Promise<void> {
  const directory = Deno.makeTempDirSync({ prefix: "ongrid-service-" });
  try {
    await work(directory);
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
}

Deno.test("a client that uses up all file descriptors does not end the manager", async () => {
  await inDirectory(async (directory) => {
    await using service = new Service(directory, {}, "ulimit -n 100");
    const http = await service.listening();
    const [hostname = "", port = ""] = http.split(":");
    const connections: Deno.Conn[] = [];
    for (let opened = 0; opened < CONNECTIONS; opened++) {
      const connection = await Deno.connect({ hostname, port: Number(port) }).catch(() =>
        undefined
      );
      if (connection === undefined) break;
      connections.push(connection);
    }
    await eventually("accepting failed", () => service.text.includes("trying again") || undefined);
    for (const connection of connections) connection.close();
    const health = await eventually("it listens again", async () => {
      return await fetch(`http://${http}/healthz`).then((answer) => answer.text(), () => undefined);
    });
    assertEquals(health, "ok\n");
  });
});

Deno.test("a first start that fails does not use up the administrator's password", async () => {
  await inDirectory(async (directory) => {
    using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const address = `127.0.0.1:${taken.addr.port}`;
    for (const name of ["ONGRID_HTTP_ADDR", "ONGRID_EDGEBOUND_ADDR"]) {
      await using failed = new Service(directory, { [name]: address });
      assertEquals(await failed.ended(), 1);
      assertMatch(failed.text, /^error: Cannot listen for \w+ on .*: address already in use$/m);
    }
    await using service = new Service(directory, {});
    await service.listening();
    assertMatch(service.text, /first administrator: admin@localhost, password: \S{24} /);
  });
});

Deno.test("a second manager on the same registry is refused and changes nothing", async () => {
  await inDirectory(async (directory) => {
    await using first = new Service(directory, {});
    await first.listening();
    await using second = new Service(directory, {});
    assertEquals(await second.ended(), 1);
    assertMatch(second.text, /^error: Cannot use the database .*: another manager \(process \d+\)/);
    assertStringIncludes(second.text, "\nhint: ");
  });
});
