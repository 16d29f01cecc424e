import { join } from "@std/path";
import { crypto } from "@std/crypto";
import { run } from "../../apply-pending-upgrade.ts";

/** A file of a test bundle: its content, and where it goes. */
export interface TestFile {
  readonly content: string;
  readonly dest: string;
  readonly mode?: string;
}

/** The files of an ordinary upgrade in these tests: the agent, a plugin, a file that is new. */
export function ordinaryFiles(version: string): Record<string, TestFile> {
  return {
    "ongrid-edge": { content: `agent ${version}\n`, dest: "/usr/local/bin/ongrid-edge" },
    "promtail": { content: `promtail ${version}\n`, dest: "/usr/local/lib/ongrid-edge/promtail" },
    "apply-pending-upgrade.sh": {
      content: `guard ${version}\n`,
      dest: "/usr/local/lib/ongrid-edge/apply-pending-upgrade.sh",
    },
    "node_exporter": {
      content: `exporter ${version}\n`,
      dest: "/usr/local/lib/ongrid-edge/node_exporter",
    },
  };
}

/** SHA-256 of a text in lower-case hex. */
export function sha256(text: string): string {
  const digest = crypto.subtle.digestSync("SHA-256", new TextEncoder().encode(text));
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** The text of a manifest of these files. */
export function manifestOf(files: Record<string, TestFile>): string {
  return Object.entries(files)
    .map(([src, { content, dest, mode }]) =>
      `${sha256(content)} ${mode ?? "0755"} ${src} ${dest}\n`
    )
    .join("");
}

/** An edge host in a temporary directory, with the hook run in this process. */
export class HookHost implements Disposable {
  readonly root = Deno.makeTempDirSync({ prefix: "ongrid-hook-", ...inMemory() });
  readonly bin = join(this.root, "bin");
  readonly lib = join(this.root, "lib");
  readonly stage = join(this.root, "state/.upgrade");
  readonly rootState = join(this.root, "root-state");
  /** What the hook wrote on stderr. */
  log = "";

  constructor() {
    for (const directory of [this.bin, this.lib, this.stage]) {
      Deno.mkdirSync(directory, { recursive: true });
    }
    this.write("bin/neighbour", "not ours\n");
    this.write("bin/neighbour.previous", "not ours either\n");
  }

  /** The hook's environment. */
  readonly env = (name: string): string | undefined =>
    ({
      ONGRID_EDGE_UPGRADE_STAGE_DIR: this.stage,
      ONGRID_EDGE_UPGRADE_BIN_DIR: this.bin,
      ONGRID_EDGE_UPGRADE_LIB_DIR: this.lib,
      ONGRID_EDGE_UPGRADE_PUBLIC_KEY: join(this.root, "upgrade.pub"),
      ONGRID_EDGE_UPGRADE_ROOT_STATE_DIR: this.rootState,
    })[name];

  /** Runs the hook once; the exit code of `--strict`. */
  run(): number {
    const original = Deno.stderr.writeSync;
    Deno.stderr.writeSync = (bytes) => {
      this.log += new TextDecoder().decode(bytes);
      return bytes.length;
    };
    try {
      return run(["--strict"], this.env);
    } finally {
      Deno.stderr.writeSync = original;
    }
  }

  /** Installs a version as if it had always been there; `node_exporter` is new with the next one. */
  install(version: string): void {
    for (const [name, { content }] of Object.entries(ordinaryFiles(version))) {
      if (name !== "node_exporter") this.write(this.#where(name), content, 0o755);
    }
  }

  /** Puts a bundle into `incoming/`, as an agent does. */
  stageBundle(version: string, files = ordinaryFiles(version), manifest = manifestOf(files)): void {
    const incoming = join(this.stage, "incoming");
    Deno.mkdirSync(incoming);
    for (const [src, { content }] of Object.entries(files)) {
      Deno.writeTextFileSync(join(incoming, src), content);
    }
    Deno.writeTextFileSync(join(incoming, "VERSION"), `${version}\n`);
    Deno.writeTextFileSync(join(incoming, "MANIFEST.txt"), manifest);
    this.mark("ready", JSON.stringify({ version }));
  }

  /** Writes a marker into the agent's directory. */
  mark(name: string, text: string): void {
    Deno.writeTextFileSync(join(this.stage, name), text);
  }

  /** Writes a file below the host's root. */
  write(path: string, content: string, mode = 0o644): void {
    Deno.mkdirSync(join(this.root, path, ".."), { recursive: true });
    Deno.writeTextFileSync(join(this.root, path), content, { mode });
    Deno.chmodSync(join(this.root, path), mode);
  }

  /** The content of a file below the host's root; undefined where there is none. */
  read(path: string): string | undefined {
    try {
      return Deno.readTextFileSync(join(this.root, path));
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return undefined;
      throw error;
    }
  }

  /** The record of that name, parsed. */
  record(name: string): Record<string, unknown> | undefined {
    const text = this.read(`root-state/${name}`);
    return text === undefined ? undefined : JSON.parse(text);
  }

  /** What is installed: `all v1`, `all v2`, or the list of files where it is neither. */
  installed(): string {
    const found = new Map<string, string>();
    for (const entry of [...Deno.readDirSync(this.bin), ...Deno.readDirSync(this.lib)]) {
      if (/^neighbour|\.previous$/.test(entry.name)) continue;
      found.set(entry.name, this.read(this.#where(entry.name)) ?? "");
    }
    for (const version of ["v1", "v2", "v3"]) {
      for (const withNew of [true, false]) {
        const wanted = Object.entries(ordinaryFiles(version))
          .filter(([name]) => withNew || name !== "node_exporter");
        const isSame = wanted.length === found.size &&
          wanted.every(([name, { content }]) => found.get(name) === content);
        if (isSame) return withNew ? `all ${version}` : `all ${version} without node_exporter`;
      }
    }
    return JSON.stringify([...found]);
  }

  /** Every file below the root but the lock, with its content: what a test compares as a whole. */
  tree(directory = this.root): Record<string, string> {
    const found: Record<string, string> = {};
    for (const entry of Deno.readDirSync(directory)) {
      const path = join(directory, entry.name);
      if (entry.isDirectory) Object.assign(found, this.tree(path));
      else if (entry.name !== "lock") found[path.slice(this.root.length + 1)] = read(path);
    }
    return found;
  }

  #where(name: string): string {
    return name === "ongrid-edge" ? `bin/${name}` : `lib/${name}`;
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.root, { recursive: true });
  }
}

function read(path: string): string {
  const info = Deno.lstatSync(path);
  return info.isFile ? Deno.readTextFileSync(path) : info.isSymlink ? "(link)" : "(special)";
}

/** Thousands of runs with a dozen fsyncs each: a disk would take minutes for what needs seconds. */
function inMemory(): { dir?: string } {
  try {
    const dir = Deno.makeTempDirSync({ dir: "/dev/shm", prefix: "ongrid-probe-" });
    Deno.removeSync(dir);
    return { dir: "/dev/shm" };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.PermissionDenied) {
      return {};
    }
    throw error;
  }
}
