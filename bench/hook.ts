/**
 * The hook against a plain shell implementation of the reference description, in the same run:
 * a 455 MB bundle of six files, all of them replaced.
 *
 *     deno run -A bench/hook.ts [--rounds 3]
 */
import { defineCommand, parseCommand } from "../lib/cli/args.ts";
import { createOutput } from "../lib/cli/output.ts";
import { runMain } from "../lib/cli/main.ts";
import { crypto as stdCrypto } from "@std/crypto";
import { fromFileUrl, join } from "@std/path";

const COMMAND = defineCommand({
  name: "bench/hook",
  summary: "Measure the hook against a plain shell implementation of the reference",
  options: {
    hook: {
      type: "string",
      help: "The built hook",
      default: "build/linux-amd64/apply-pending-upgrade",
    },
    rounds: { type: "integer", help: "Rounds; the median counts", default: 3, min: 1 },
  },
});

/** The files of a real bundle, in megabytes. */
const SIZES: Record<string, number> = {
  "ongrid-edge": 14,
  "node_exporter": 20,
  "process_exporter": 11,
  "promtail": 110,
  "otelcol-contrib": 300,
  "apply-pending-upgrade.sh": 0,
};
const MB = 1_000_000;
const REFERENCE = fromFileUrl(new URL("../tests/support/reference_hook.sh", import.meta.url));

interface Run {
  readonly ms: number;
  /** Peak resident memory, in MB. */
  readonly peakMb: number;
}

interface Host {
  readonly root: string;
  readonly env: Record<string, string>;
}

async function run(args: readonly string[]): Promise<number> {
  const parsed = parseCommand(COMMAND, args);
  const output = createOutput();
  if (parsed.kind !== "run") {
    output.result(parsed.text);
    return 0;
  }
  const hook = await Deno.realPath(parsed.options.hook);
  const scratch = await Deno.makeTempDir({ prefix: "ongrid-bench-" });
  try {
    const results = await measure(hook, scratch, parsed.options.rounds, (m) => output.info(m));
    output.result(table(results));
  } finally {
    await Deno.remove(scratch, { recursive: true });
  }
  return 0;
}

interface Results {
  readonly ours: Run[];
  readonly shell: Run[];
  readonly copy: Run[];
  readonly idle: Run[];
  readonly small: Run[];
}

async function measure(
  hook: string,
  scratch: string,
  rounds: number,
  say: (message: string) => void,
): Promise<Results> {
  const results: Results = { ours: [], shell: [], copy: [], idle: [], small: [] };
  const bundles = [join(scratch, "bundle-a"), join(scratch, "bundle-b")];
  for (const [index, path] of bundles.entries()) makeBundle(path, `v1.0.${index}`, 1);
  const small = join(scratch, "bundle-small");
  makeBundle(small, "v1.0.9", 1 / 1000);
  for (let round = 0; round < rounds; round++) {
    const bundle = bundles[round % 2] ?? "";
    const before = bundles[(round + 1) % 2] ?? "";
    say(`round ${round + 1} of ${rounds}`);
    for (const kind of round % 2 ? ["shell", "ours"] as const : ["ours", "shell"] as const) {
      const host = makeHost(join(scratch, `host-${kind}`), before);
      stage(host, bundle);
      await sync();
      const command = kind === "ours" ? [hook] : ["bash", REFERENCE];
      results[kind].push(await timed(command, host.env));
      check(host, bundle);
      if (kind === "ours") results.idle.push(await idle(hook, host));
      Deno.removeSync(host.root, { recursive: true });
    }
    await sync();
    const target = join(scratch, "copy");
    results.copy.push(
      await timed(["sh", "-c", `cp -r '${bundle}' '${target}' && sync -f '${target}'`], {}),
    );
    Deno.removeSync(target, { recursive: true });
    const host = makeHost(join(scratch, "host-small"), small);
    stage(host, small);
    Deno.writeTextFileSync(join(host.root, "bin/ongrid-edge"), "old\n");
    results.small.push(await timed([hook], host.env));
    Deno.removeSync(host.root, { recursive: true });
  }
  return results;
}

/** A start with nothing staged and nothing to judge. */
async function idle(hook: string, host: Host): Promise<Run> {
  Deno.writeTextFileSync(
    join(host.root, "stage/healthy_marker"),
    Deno.readTextFileSync(join(host.root, "stage/last_upgrade_ver")),
  );
  await timed([hook], host.env);
  const runs: Run[] = [];
  for (let i = 0; i < 10; i++) runs.push(await timed([hook], host.env));
  return median(runs);
}

function makeBundle(path: string, version: string, scale: number): void {
  Deno.mkdirSync(path);
  const lines: string[] = [];
  const block = new Uint8Array(MB);
  for (const [name, size] of Object.entries(SIZES)) {
    const file = Deno.openSync(join(path, name), { write: true, create: true });
    for (let i = 0; i < Math.max(1, Math.round(size * scale)); i++) {
      for (let at = 0; at < MB; at += 50_000) {
        globalThis.crypto.getRandomValues(block.subarray(at, at + 50_000));
      }
      file.writeSync(scale === 1 && size > 0 ? block : block.subarray(0, 1000));
    }
    file.close();
    const root = name === "ongrid-edge" ? "/usr/local/bin" : "/usr/local/lib/ongrid-edge";
    lines.push(`${sha256(join(path, name))} 0755 ${name} ${root}/${name}\n`);
  }
  Deno.writeTextFileSync(join(path, "MANIFEST.txt"), lines.join(""));
  Deno.writeTextFileSync(join(path, "VERSION"), `${version}\n`);
}

function sha256(path: string): string {
  const digest = stdCrypto.subtle.digestSync("SHA-256", Deno.readFileSync(path));
  return new Uint8Array(digest).toHex();
}

function makeHost(root: string, installed: string): Host {
  for (const name of ["bin", "lib", "stage"]) Deno.mkdirSync(join(root, name), { recursive: true });
  for (const name of Object.keys(SIZES)) {
    Deno.copyFileSync(join(installed, name), join(root, directory(name), name));
  }
  return {
    root,
    env: {
      ONGRID_EDGE_UPGRADE_STAGE_DIR: join(root, "stage"),
      ONGRID_EDGE_UPGRADE_BIN_DIR: join(root, "bin"),
      ONGRID_EDGE_UPGRADE_LIB_DIR: join(root, "lib"),
      DENO_DIR: join(root, "deno"),
    },
  };
}

function stage(host: Host, bundle: string): void {
  const incoming = join(host.root, "stage/incoming");
  Deno.mkdirSync(incoming);
  for (const entry of Deno.readDirSync(bundle)) {
    Deno.copyFileSync(join(bundle, entry.name), join(incoming, entry.name));
  }
}

function check(host: Host, bundle: string): void {
  for (const name of Object.keys(SIZES)) {
    const found = sha256(join(host.root, directory(name), name));
    if (found !== sha256(join(bundle, name))) throw new Error(`${name} was not replaced`);
  }
}

function directory(name: string): string {
  return name === "ongrid-edge" ? "bin" : "lib";
}

async function sync(): Promise<void> {
  await new Deno.Command("sync").output();
}

async function timed([command = "", ...args]: readonly string[], env: Record<string, string>) {
  const began = performance.now();
  const child = new Deno.Command(command, { args, env, stdout: "null", stderr: "null" }).spawn();
  let peakMb = 0;
  const watch = setInterval(() => peakMb = Math.max(peakMb, peakOf(child.pid)), 2);
  const { success } = await child.status;
  clearInterval(watch);
  if (!success) throw new Error(`${command} failed`);
  return { ms: performance.now() - began, peakMb };
}

/** The kernel's own high-water mark, in MB; 0 once the process has gone. */
function peakOf(pid: number): number {
  try {
    const status = Deno.readTextFileSync(`/proc/${pid}/status`);
    return Number(/^VmHWM:\s+(\d+)/m.exec(status)?.[1] ?? 0) / 1000;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return 0;
    return 0;
  }
}

function median(runs: readonly Run[]): Run {
  const sorted = [...runs].sort((a, b) => a.ms - b.ms);
  const middle = sorted[sorted.length >> 1] ?? { ms: NaN, peakMb: NaN };
  return { ms: middle.ms, peakMb: Math.max(...runs.map(({ peakMb }) => peakMb)) };
}

function table(results: Results): string {
  const ours = median(results.ours);
  const shell = median(results.shell);
  const copy = median(results.copy);
  const idleRun = median(results.idle);
  const small = median(results.small);
  const seconds = ({ ms }: Run) => `${(ms / 1000).toFixed(2)} s`;
  return [
    `apply 455 MB, 6 files       ${seconds(ours)}, peak ${ours.peakMb.toFixed(0)} MB`,
    `  plain shell               ${seconds(shell)}   ours is ${
      (shell.ms / ours.ms).toFixed(1)
    }x as fast`,
    `  cp + sync -f              ${seconds(copy)}   ours takes ${
      (ours.ms / copy.ms).toFixed(2)
    }x that`,
    `apply 6 small files         ${small.ms.toFixed(0)} ms, peak ${small.peakMb.toFixed(0)} MB`,
    `nothing staged              ${idleRun.ms.toFixed(0)} ms, peak ${idleRun.peakMb.toFixed(0)} MB`,
  ].join("\n");
}

if (import.meta.main) Deno.exit(await runMain(COMMAND.name, () => run(Deno.args)));
