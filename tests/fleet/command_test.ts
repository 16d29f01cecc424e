import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { parseCommand } from "../../lib/cli/args.ts";
import { createOutput } from "../../lib/cli/output.ts";
import { MANAGER_COMMAND } from "../../lib/fleet/command.ts";
import { systemEffects } from "../../lib/fleet/effects.ts";
import { runManager } from "../../lib/fleet/run_command.ts";
import { edgeCommand, tokenCommand } from "../../lib/fleet/edge_command.ts";
import { eventually } from "./support/eventually.ts";

const ENTRY = fromFileUrl(new URL("../../manager.ts", import.meta.url));

/** Options as the command line and the environment give them. */
function runOptions(env: Record<string, string>) {
  const parsed = parseCommand(MANAGER_COMMAND, ["run"], (name) => env[name]);
  if (parsed.kind !== "run" || parsed.command !== "run") throw new Error("not run");
  return parsed.options;
}

/** An output that keeps what is written. */
function recorder(json = true) {
  const lines = { out: "", error: "" };
  const output = createOutput({
    json,
    isTerminal: false,
    env: () => undefined,
    write: (text) => void (lines.out += text),
    writeError: (text) => void (lines.error += text),
  });
  return { output, lines };
}

async function inDirectory(work: (directory: string) => Promise<void>): Promise<void> {
  const directory = Deno.makeTempDirSync({ prefix: "ongrid-manager-" });
  try {
    await work(directory);
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
}

/** Runs a manager until `work` is done with it; what it wrote. */
async function withService(
  directory: string,
  work: (listening: { http: string; edgebound: string }, db: string) => Promise<void>,
): Promise<{ out: string; error: string }> {
  const db = join(directory, "state", "manager.db");
  const env: Record<string, string> = {
    ONGRID_DB_PATH: db,
    ONGRID_HTTP_ADDR: "127.0.0.1:0",
    ONGRID_EDGEBOUND_ADDR: "127.0.0.1:0",
    ONGRID_EDGE_BUNDLE_DIR: directory,
  };
  const { output, lines } = recorder();
  const stop = new AbortController();
  const running = runManager({
    options: runOptions(env),
    env: (name) => env[name],
    version: "v1.0.0",
    output,
    effects: systemEffects,
    stop: stop.signal,
  });
  const listening = await eventually("it listens", () => {
    const line = lines.out.split("\n").find((text) => text.includes('"listening"'));
    return line === undefined ? undefined : JSON.parse(line);
  });
  await work(listening, db);
  stop.abort();
  assertEquals(await running, 0);
  return lines;
}

Deno.test("settings come from the environment names the Go manager has", () => {
  const options = runOptions({
    ONGRID_HTTP_ADDR: ":80",
    ONGRID_PUBLIC_URL: "https://x",
    ONGRID_EDGE_BUNDLE_DIR: "/b",
    ONGRID_JWT_ACCESS_TTL: "1h30m",
  });
  assertEquals(options["http-addr"], ":80");
  assertEquals(options["public-url"], "https://x");
  assertEquals(options["bundle-dir"], "/b");
  assertEquals(options["token-ttl"], 90 * 60_000);
  const defaults = runOptions({});
  assertEquals(defaults["http-addr"], ":8080");
  assertEquals(defaults["edgebound-addr"], ":40012");
  assertEquals(defaults["bundle-dir"], "/usr/share/ongrid/edge-bundles");
  assertEquals(defaults["token-ttl"], 24 * 60 * 60_000);
});

Deno.test("the first start makes an administrator and tells the password once, on stderr alone", async () => {
  await inDirectory(async (directory) => {
    let password = "";
    const first = await withService(directory, async ({ http }) => {
      assertEquals(await (await fetch(`http://${http}/healthz`)).text(), "ok\n");
    });
    [, password = ""] = /admin@localhost, password: (\S{24}) /.exec(first.error) ?? [];
    assertEquals(password.length, 24);
    assertEquals(first.out.includes(password), false);
    const second = await withService(directory, async ({ http }) => {
      const body = JSON.stringify({ email: "admin@localhost", password });
      const response = await fetch(`http://${http}/api/v1/auth/login`, { method: "POST", body });
      assertEquals(response.status, 200);
      await response.body?.cancel();
    });
    assertEquals(second.error.includes("password"), false);
    assertEquals((Deno.statSync(join(directory, "state")).mode ?? 0) & 0o777, 0o700);
  });
});

Deno.test("an edge enrolled beside a running manager can connect to it at once", async () => {
  await inDirectory(async (directory) => {
    await withService(directory, async ({ http }, db) => {
      const { output, lines } = recorder();
      const command = { db, json: true, output, effects: systemEffects };
      assertEquals(await edgeCommand({ ...command, action: "add", name: "web" }), 0);
      const added = JSON.parse(lines.out);
      assertEquals([added.id, added.name, added.secret_key.length], [1, "web", 32]);
      assertEquals(lines.error, "");
      const token = recorder();
      await tokenCommand({
        ...command,
        output: token.output,
        email: "admin@localhost",
        ttlMs: 5000,
      });
      const headers = { authorization: `Bearer ${JSON.parse(token.lines.out).access_token}` };
      const listed = await (await fetch(`http://${http}/api/v1/edges`, { headers })).json();
      assertEquals(listed.items[0].access_key_id, added.access_key_id);
      const list = recorder(false);
      const listing = { ...command, json: false, output: list.output };
      await edgeCommand({ ...listing, action: "list", name: undefined });
      assertEquals(list.lines.out.split("\n"), [
        "ID  NAME  STATUS   VERSION  LAST UPGRADE",
        "1   web   offline  -        -",
        "",
      ]);
    });
  });
});

Deno.test("settings that cannot be used are named before anything is made", async () => {
  await inDirectory(async (directory) => {
    const bad: [string, string, string][] = [
      ["ONGRID_HTTP_ADDR", "nonsense", "it is no address"],
      ["ONGRID_EDGEBOUND_ADDR", ":99999", "it is no address"],
      ["ONGRID_PUBLIC_URL", "manager.example.com", "is no http(s) URL"],
      ["ONGRID_PUBLIC_URL", "https://user@host", "is no http(s) URL"],
      ["ONGRID_EDGEBOUND_TLS_CERT_FILE", "/c", "go together"],
      ["ONGRID_ADMIN_PASSWORD", "x".repeat(129), "at most 128 characters"],
      ["ONGRID_ADMIN_EMAIL", "x".repeat(255), "1 to 254 characters"],
      ["ONGRID_UPGRADE_DEADLINE", "0s", "at least 1s"],
      ["ONGRID_JWT_ACCESS_TTL", "10ms", "at least 1s"],
    ];
    for (const [name, value, message] of bad) {
      const db = join(directory, "m.db");
      const env: Record<string, string> = { ONGRID_DB_PATH: db, [name]: value };
      let caught = "";
      await runManager({
        options: runOptions(env),
        env: (key) => env[key],
        version: "v1.0.0",
        output: recorder().output,
        effects: systemEffects,
        stop: AbortSignal.abort(),
      }).catch((e) => caught = String(e));
      assertStringIncludes(caught, message);
      assertEquals([...Deno.readDirSync(directory)], []);
    }
  });
});

Deno.test("the program ends in order on SIGTERM, well within five seconds", async () => {
  await inDirectory(async (directory) => {
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", ENTRY, "run", "--json", "--db", join(directory, "m.db")],
      env: {
        ONGRID_HTTP_ADDR: "127.0.0.1:0",
        ONGRID_EDGEBOUND_ADDR: "127.0.0.1:0",
        DENO_NO_UPDATE_CHECK: "1",
      },
      stdout: "piped",
      stderr: "null",
    }).spawn();
    const reader = child.stdout.getReader();
    let out = "";
    while (!out.includes("listening")) {
      const { value, done } = await reader.read();
      if (done) break;
      out += new TextDecoder().decode(value);
    }
    assertStringIncludes(out, '"event":"listening"');
    const begin = performance.now();
    child.kill("SIGTERM");
    const { code } = await child.status;
    assert(performance.now() - begin < 5_000);
    assertEquals(code, 0);
    await reader.cancel();
  });
});

Deno.test("a surplus argument, an unknown action and a missing registry are told apart", async () => {
  await inDirectory(async (directory) => {
    const run = async (...args: string[]) => {
      const { code, stderr } = await new Deno.Command(Deno.execPath(), {
        args: ["run", "-A", ENTRY, "--db", join(directory, "m.db"), ...args],
        env: { DENO_NO_UPDATE_CHECK: "1", NO_COLOR: "1" },
      }).output();
      return [code, new TextDecoder().decode(stderr).split("\n")[0]];
    };
    assertEquals(await run("edge", "remove"), [2, "error: Say what to do with the registry"]);
    const [code, error] = await run("edge", "list");
    assertEquals(code, 1);
    assertMatch(String(error), /^error: Cannot open the registry .*m\.db/);
  });
});
