/** The Debian that containers of these tests are made from; made once, kept in a cache. */

import { join } from "@std/path";
import { acquireLock } from "../../../lib/fs/lock.ts";

const SUITE = "bookworm";

/** Beside systemd: what kills the hook at a chosen moment, and what tests look around with. */
const PACKAGES = ["systemd", "systemd-sysv", "dbus", "procps", "strace"];

const DEFAULT_MIRROR = "http://deb.debian.org/debian";

const NAME = `${SUITE}-${PACKAGES.join("-")}`;

/**
 * Whether containers can be made and booted here. A CI machine that lacks the tools gets them; the
 * machine of a person is left as it is.
 *
 * @param succeeds runs a program.
 */
export function hasContainers(
  succeeds: (program: string, args: readonly string[]) => boolean,
): boolean {
  const isCached = exists(join(cachePath(), NAME)) || exists(join(cachePath(), `${NAME}.tar`));
  const hasTools = () =>
    succeeds("systemd-nspawn", ["--version"]) &&
    (isCached || succeeds("mmdebstrap", ["--version"]));
  if (hasTools()) return true;
  if (Deno.env.get("CI") !== "true" || Deno.uid() !== 0) return false;
  const install = ["install", "-y", "--no-install-recommends", "systemd-container", "mmdebstrap"];
  return succeeds("apt-get", ["update"]) && succeeds("apt-get", install) && hasTools();
}

/** The cached tree's directory; made where it is not there yet, which takes a minute. */
export async function debianTree(): Promise<string> {
  const cache = cacheDirectory();
  const tree = join(cache, NAME);
  using _lock = acquireLock(join(cache, "lock"));
  if (exists(tree)) return tree;
  const archive = join(cache, `${NAME}.tar`);
  if (!exists(archive)) await makeArchive(archive);
  const partial = `${tree}.partial`;
  await execute(["rm", "-rf", partial]);
  Deno.mkdirSync(partial, { mode: 0o755 });
  await execute(["tar", "-C", partial, "-xpf", archive, "--xattrs", "--numeric-owner"]);
  // Each container finds an id of its own at its first boot.
  await execute(["rm", "-f", join(partial, "var/lib/dbus/machine-id")]);
  Deno.writeTextFileSync(join(partial, "etc/machine-id"), "");
  Deno.renameSync(partial, tree);
  return tree;
}

function cachePath(): string {
  return Deno.env.get("ONGRID_TEST_CACHE") || "/var/tmp/ongrid-test-cache";
}

/** Root's alone: what lies here is booted. */
function cacheDirectory(): string {
  const path = cachePath();
  Deno.mkdirSync(path, { recursive: true, mode: 0o700 });
  const { uid, isDirectory } = Deno.lstatSync(path);
  if (isDirectory && uid === Deno.uid()) return path;
  throw new Error(`${path} is not a directory of this account; choose one with ONGRID_TEST_CACHE`);
}

async function makeArchive(archive: string): Promise<void> {
  const partial = archive.replace(/\.tar$/, ".partial.tar");
  await execute([
    "mmdebstrap",
    "--quiet",
    "--variant=minbase",
    `--include=${PACKAGES.join(",")}`,
    SUITE,
    partial,
    mirror(),
  ]);
  Deno.renameSync(partial, archive);
}

/** The mirror that this machine takes its own packages from, where it is a Debian. */
function mirror(): string {
  for (const path of ["/etc/apt/sources.list.d/debian.sources", "/etc/apt/sources.list"]) {
    if (!exists(path)) continue;
    const [, url] = /^(?:URIs:|deb)\s.*?(https?:\/\/\S+\/debian)\/?(?:\s|$)/m
      .exec(Deno.readTextFileSync(path)) ?? [];
    if (url !== undefined) return url;
  }
  return DEFAULT_MIRROR;
}

async function execute(command: readonly string[]): Promise<void> {
  const [program = "", ...args] = command;
  const { code, stderr } = await new Deno.Command(program, { args, stdout: "null" }).output();
  if (code === 0) return;
  throw new Error(`${program} failed (${code}): ${new TextDecoder().decode(stderr)}`);
}

function exists(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
