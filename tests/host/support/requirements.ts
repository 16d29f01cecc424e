/** What the tests of this directory need of the machine, and what happens where it is missing. */

import { say } from "./report.ts";
import { hasContainers } from "./systemd_tree.ts";

/** What a test can need. */
export type Need = "root" | "strace" | "tmpfs" | "faketime" | "nspawn";

/** How each need is probed, and what to do where the probe fails. */
const PROBES: Record<Need, { has: () => boolean; hint: string }> = {
  root: { has: () => Deno.uid() === 0, hint: "run it as root" },
  strace: {
    has: () => succeeds("strace", ["-qq", "-e", "trace=none", "true"]),
    hint: "apt-get install strace, and allow ptrace",
  },
  tmpfs: { has: canMount, hint: "allow mount(2): CAP_SYS_ADMIN" },
  faketime: {
    has: () => succeeds("faketime", ["2020-01-01 00:00:00", "true"]),
    hint: "apt-get install faketime",
  },
  nspawn: {
    has: () => hasContainers(succeeds),
    hint: "apt-get install systemd-container mmdebstrap",
  },
};

const probed = new Map<Need, boolean>();

/** A test on a real host. */
export interface HostTest {
  /** The promise. */
  readonly name: string;
  readonly needs: readonly Need[];
  readonly run: () => Promise<void> | void;
}

/**
 * Registers a test. Where something is missing it is skipped, with the reason printed and counted as
 * ignored; where `CI` is `true` nothing may be missing, and the test fails.
 */
export function hostTest({ name, needs, run }: HostTest): void {
  const missing = needs.filter((need) => !has(need));
  const reason = missing.map((need) => `${need} (${PROBES[need].hint})`).join(", ");
  if (missing.length > 0 && Deno.env.get("CI") === "true") {
    Deno.test(name, () => {
      throw new Error(`this machine lacks ${reason}`);
    });
    return;
  }
  if (missing.length > 0) say(`skipped: ${name}: this machine lacks ${reason}`);
  Deno.test({ name, ignore: missing.length > 0, fn: run });
}

function has(need: Need): boolean {
  const known = probed.get(need) ?? PROBES[need].has();
  probed.set(need, known);
  return known;
}

function succeeds(command: string, args: readonly string[]): boolean {
  try {
    return new Deno.Command(command, { args: [...args], stdin: "null" }).outputSync().success;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

function canMount(): boolean {
  const directory = Deno.makeTempDirSync({ prefix: "ongrid-mount-" });
  try {
    const mounted = succeeds("mount", ["-t", "tmpfs", "tmpfs", directory]);
    return mounted && succeeds("umount", [directory]);
  } finally {
    Deno.removeSync(directory);
  }
}
