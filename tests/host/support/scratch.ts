/** File systems that a test may fill, take away and write to as it likes. */

import { join } from "@std/path";

/**
 * A directory on a tmpfs of its own, and further mounts below it. A disk would take minutes for the
 * thousands of fsyncs of a sweep; `/dev/shm` will not do, because the Deno runtime keeps a program
 * with restricted permissions out of `/dev`.
 */
export class Scratch implements Disposable {
  readonly path = Deno.realPathSync(Deno.makeTempDirSync({ prefix: "ongrid-host-" }));
  readonly #mounts: string[] = [];

  constructor(options = "size=2g") {
    this.mount(this.path, options);
    Deno.chmodSync(this.path, 0o755);
  }

  /** Mounts another tmpfs, such as `size=64k` or `size=1m,nr_inodes=20`; the directory is made. */
  mount(directory: string, options: string): void {
    Deno.mkdirSync(directory, { recursive: true });
    command("mount", ["-t", "tmpfs", "-o", options, "tmpfs", directory]);
    this.#mounts.push(directory);
  }

  /** Changes the options of a mount, such as `ro`. */
  remount(directory: string, options: string): void {
    command("mount", ["-o", `remount,${options}`, directory]);
  }

  /** Another directory below this one. */
  directory(name: string): string {
    const path = join(this.path, name);
    Deno.mkdirSync(path, { recursive: true });
    return path;
  }

  [Symbol.dispose](): void {
    // Whatever a killed process still holds open must not keep the mount.
    for (const mount of this.#mounts.reverse()) command("umount", ["-l", mount]);
    Deno.removeSync(this.path);
  }
}

function command(name: string, args: readonly string[]): void {
  const { success, stderr } = new Deno.Command(name, { args: [...args], stdin: "null" })
    .outputSync();
  if (!success) {
    throw new Error(`${name} ${args.join(" ")}: ${new TextDecoder().decode(stderr).trim()}`);
  }
}
