import { assert, assertEquals, assertMatch } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import { launcher } from "../../lib/release/launcher.ts";
import { programsIn } from "../../lib/release/programs.ts";
import { ROOT } from "../support/built_programs.ts";
import { builtHook, GUARD } from "./support/built_hook.ts";
import { EdgeHost } from "./support/edge_host.ts";
import { type Ending, type Invocation, run, wrapped } from "./support/process.ts";
import { hostTest } from "./support/requirements.ts";
import { APPLY } from "./support/scenarios.ts";
import { Scratch } from "./support/scratch.ts";

/** Tries everything that the hook must not be able to do, and prints what came of each. */
const PROBE = `
const attempts = {
  fetch: () => fetch("http://127.0.0.1:18089/"),
  connect: () => Deno.connect({ hostname: "127.0.0.1", port: 18089 }),
  listen: () => Deno.listen({ hostname: "127.0.0.1", port: 0 }),
  unix: () => Deno.connect({ transport: "unix", path: "/run/nobody.sock" }),
  resolve: () => Deno.resolveDns("localhost", "A"),
  command: () => new Deno.Command("/bin/true").output(),
  spawn: () => process.getBuiltinModule("node:child_process").execFileSync("/bin/true"),
  library: () => Deno.dlopen("/lib/x86_64-linux-gnu/libc.so.6", { getpid: { parameters: [], result: "i32" } }),
  remote: () => import("http://127.0.0.1:18089/x.js"),
  package: () => import("npm:left-pad"),
  kill: () => Deno.kill(1, "SIGCONT"),
};
const found = {};
for (const [name, attempt] of Object.entries(attempts)) {
  try {
    await attempt();
    found[name] = "allowed";
  } catch (error) {
    found[name] = error.name + ": " + error.message;
  }
}
console.log(JSON.stringify(found));
`;

/** How long a start may take that needs milliseconds, before it counts as hanging. */
const HANGS_AFTER = "20";

function preparedHost(scratch: Scratch): EdgeHost {
  const host = new EdgeHost(scratch.directory("host"));
  void APPLY.prepare(host, () => Promise.resolve());
  return host;
}

/** The guard with the built hook, in the environment that a unit with `User=` gives it. */
async function asUnit(host: EdgeHost, home: string): Promise<Invocation> {
  const { hook } = await builtHook();
  host.write("lib/apply-pending-upgrade", `#!/bin/sh\nexec ${hook} "$@"\n`, 0o755);
  return { command: "sh", args: [GUARD], env: { ...host.env, HOME: home } };
}

/** Runs a program under strace; the calls of all its threads and processes. */
async function calls(
  invocation: Invocation,
  { log, what }: { log: string; what: string },
): Promise<{ ending: Ending; lines: string[] }> {
  const options = ["-f", "-qq", "-s", "256", "-o", log, "-e", `trace=${what}`];
  const ending = await run(wrapped("strace", options, invocation));
  return { ending, lines: Deno.readTextFileSync(log).trim().split("\n") };
}

/** The calls by which a program reaches out. */
const REACHING_OUT = "%network,execve,execveat,fork,vfork,clone,clone3";

/** The calls after the start of the runtime that made a socket or another process. */
function reachedOut(lines: readonly string[], runtime: string): string[] {
  const start = lines.findIndex((line) => line.includes(`execve("${runtime}"`));
  assert(start > 0, "the runtime was not started");
  const after = lines.slice(start + 1);
  assert(after.some((line) => /clone3?\(.*CLONE_THREAD/.test(line)), "strace saw no thread start");
  return after.filter((line) =>
    /\b(execve|execveat|fork|vfork)\(/.test(line) ||
    /\b(socket|connect|bind|listen|accept4?|send(to|msg|mmsg))\(/.test(line) ||
    (/\bclone3?\(/.test(line) && !line.includes("CLONE_THREAD"))
  );
}

hostTest({
  name: "the hook opens no socket and starts no process",
  needs: ["root", "strace", "tmpfs"],
  run: async () => {
    using scratch = new Scratch();
    const host = preparedHost(scratch);
    const { hook, runtime } = await builtHook();
    const trace = { log: join(scratch.path, "log"), what: REACHING_OUT };
    const { lines } = await calls(host.start(hook), trace);
    assertEquals(host.installed(), APPLY.wanted);
    assertEquals(reachedOut(lines, runtime), []);
  },
});

hostTest({
  name: "what starts the hook denies network, processes, libraries and foreign code",
  needs: ["root", "tmpfs"],
  run: async () => {
    using scratch = new Scratch();
    const { runtime } = await builtHook();
    const [hook] = programsIn(ROOT).filter(({ name }) => name === "apply-pending-upgrade");
    if (!hook) throw new Error("no hook in the table of programs");
    const probe = join(scratch.path, "probe");
    Deno.writeTextFileSync(probe, launcher(hook.permissions) + PROBE);
    Deno.chmodSync(probe, 0o755);
    Deno.symlinkSync(runtime, join(scratch.path, "ongrid-runtime"));
    const trace = { log: join(scratch.path, "log"), what: REACHING_OUT };
    const { ending, lines } = await calls({ command: probe, env: {} }, trace);
    assert(ending.stdout.startsWith("{"), ending.stderr);
    const found: Record<string, string> = JSON.parse(ending.stdout);
    assertEquals(Object.keys(found).length, 11, ending.stdout);
    assertEquals(Object.entries(found).filter(([, result]) => result === "allowed"), []);
    for (const name of ["connect", "listen", "command", "library"]) {
      assertMatch(found[name] ?? "", /^NotCapable: Requires /, name);
    }
    assertEquals(reachedOut(lines, join(scratch.path, "ongrid-runtime")), []);
  },
});

hostTest({
  name: "started by the guard, nothing is read from the agent's home or from /tmp",
  needs: ["root", "strace", "tmpfs"],
  run: async () => {
    using scratch = new Scratch();
    const host = preparedHost(scratch);
    const home = scratch.directory("home");
    const start = await asUnit(host, home);
    const { lines } = await calls(start, { log: join(scratch.path, "log"), what: "%file" });
    assertEquals(host.installed(), APPLY.wanted);
    const paths = lines.flatMap((line) => [...line.matchAll(/"([^"]*)"/g)].map(([, p = ""]) => p));
    assert(paths.some((path) => path.startsWith(host.stage)), "strace saw nothing");
    assertEquals(paths.filter((path) => path.startsWith(home)), []);
    // The host lies below /tmp in this test, a checkout may, and so does the way to them.
    const own = [host.root, fromFileUrl(new URL("../..", import.meta.url)).replace(/\/$/, "")];
    const isForeign = (path: string) =>
      path.startsWith("/tmp/") &&
      !own.some((root) => path.startsWith(`${root}/`) || root.startsWith(path));
    assertEquals(paths.filter((path) => isForeign(path)), []);
  },
});

hostTest({
  name: "started by the guard, a trap in the agent's home stops nothing",
  needs: ["root", "tmpfs"],
  run: async () => {
    using scratch = new Scratch();
    const host = preparedHost(scratch);
    const home = scratch.directory("home");
    for (const name of [".npmrc", ".profile", ".denorc"]) {
      await run({ command: "mkfifo", args: [join(home, name)], env: {} });
    }
    const start = await asUnit(host, home);
    const { code } = await run(wrapped("timeout", ["-s", "KILL", HANGS_AFTER], start));
    assertEquals(code, 0, `killed after ${HANGS_AFTER} s`);
    assertEquals(host.installed(), APPLY.wanted);
  },
});

hostTest({
  name: "root's cache is a directory that only root can look into",
  needs: ["root", "tmpfs"],
  run: async () => {
    using scratch = new Scratch();
    const host = preparedHost(scratch);
    await run(await asUnit(host, "/nonexistent"));
    assertEquals(host.installed(), APPLY.wanted);
    const cache = Deno.lstatSync(join(host.rootState, "deno"));
    assertEquals([cache.isDirectory, cache.uid, (cache.mode ?? 0) & 0o777], [true, 0, 0o700]);
    const above = Deno.lstatSync(host.rootState);
    assertEquals([above.uid, (above.mode ?? 0) & 0o022], [0, 0]);
  },
});
