/** An edge host under a real systemd: what is installed on it, staged, and written down. */

import { createHash } from "node:crypto";
import { walkSync } from "@std/fs";
import { join } from "@std/path";
import { OWNED_FILES } from "../../../lib/bundle/owned.ts";
import { builtPrograms, ROOT } from "../../support/built_programs.ts";
import { type Container, eventually, startContainer } from "./nspawn.ts";

/** The version that is installed first. */
export const OLD = "v1.0.0";
/** The version that it is upgraded to. */
export const NEW = "v1.0.1";

/** Content by the name of a file that an upgrade owns. */
export type Files = Readonly<Record<string, string | Uint8Array>>;

/** Where the agent keeps its state, and root its records; below the container's root. */
export const STAGE = "var/lib/ongrid-edge/.upgrade";
export const RECORDS = "var/lib/ongrid-edge-upgrade";

const UNIT = "ongrid-edge.service";
const HOOK_TAG = "ongrid-edge-upgrade";

/** Restarts without the pause that the unit as shipped makes. */
export const QUICK = "[Service]\nRestartSec=100ms\n";

const built = new Map<string, Promise<Record<string, Uint8Array>>>();

/** The programs of a version that an edge consists of; the same ones during a whole run. */
export async function edgePrograms(version: string): Promise<Record<string, Uint8Array>> {
  const { manager: _manager, ...programs } = await allPrograms(version);
  return programs;
}

function allPrograms(version: string): Promise<Record<string, Uint8Array>> {
  const known = built.get(version) ?? readPrograms(version);
  built.set(version, known);
  return known;
}

async function readPrograms(version: string): Promise<Record<string, Uint8Array>> {
  const directory = await builtPrograms({ version });
  const names = ["ongrid-edge", "apply-pending-upgrade", "ongrid-runtime", "manager"];
  return {
    ...Object.fromEntries(names.map((name) => [name, Deno.readFileSync(join(directory, name))])),
    "apply-pending-upgrade.sh": Deno.readFileSync(
      join(ROOT, "deploy/edge/apply-pending-upgrade.sh"),
    ),
  };
}

/** What {@linkcode EdgeHost.install} installs instead of the programs of the old version. */
export interface InstallOptions {
  /** Instead of, or beside, the old version's. */
  readonly files?: Files;
  /** A drop-in for the unit. */
  readonly dropIn?: string;
  /** Further arguments of `install-edge`. */
  readonly args?: readonly string[];
}

/** Starts a container in which nothing is installed yet. */
export async function startEdgeHost(): Promise<EdgeHost> {
  const programs = await allPrograms(OLD);
  let bundles = "";
  const container = await startContainer((directory) => {
    bundles = join(directory, "bundles");
    Deno.mkdirSync(bundles);
    Deno.mkdirSync(join(directory, "programs"));
    for (const [name, content] of Object.entries(programs)) {
      Deno.writeFileSync(join(directory, "programs", name), content, { mode: 0o755 });
    }
    return {
      "/opt/programs": join(directory, "programs"),
      "/opt/bundles": bundles,
      "/opt/deploy": join(ROOT, "deploy/edge"),
    };
  });
  return new EdgeHost(container, bundles);
}

/** Starts a container with an edge in it, running. */
export async function startInstalledEdge(options: InstallOptions = {}): Promise<EdgeHost> {
  const host = await startEdgeHost();
  try {
    await host.install(options);
    return host;
  } catch (error) {
    await host[Symbol.asyncDispose]();
    throw error;
  }
}

/** A container, seen as an edge. */
export class EdgeHost implements AsyncDisposable {
  readonly container: Container;
  /** A directory of this machine, in the container `/opt/bundles`. */
  readonly bundles: string;

  constructor(container: Container, bundles: string) {
    this.container = container;
    this.bundles = bundles;
  }

  /** Lays out in `/opt/kit` what an operator installs from. */
  async layOut(files: Files = {}): Promise<void> {
    await this.container.sh(
      "mkdir -p /opt/kit; cp /opt/deploy/* /opt/kit\n" +
        "cp /opt/programs/ongrid-edge /opt/programs/apply-pending-upgrade /opt/kit\n" +
        "ln -sfn /opt/programs/ongrid-runtime /opt/kit/ongrid-runtime",
    );
    for (const [name, content] of Object.entries(files)) {
      this.remove(`opt/kit/${name}`);
      this.write(`opt/kit/${name}`, content, 0o755);
    }
  }

  /** Installs and starts the old version. */
  async install({ files = {}, dropIn, args = [] }: InstallOptions = {}): Promise<void> {
    await this.layOut(files);
    if (dropIn !== undefined) this.dropIn("test", dropIn);
    await this.container.run([
      "/opt/kit/install-edge",
      "--cloud-addr=127.0.0.1:40012",
      "--access-key=AK",
      ...args,
    ]);
  }

  /** Writes a drop-in for the unit; it counts from the next `daemon-reload` on. */
  dropIn(name: string, text: string): void {
    this.write(`etc/systemd/system/${UNIT}.d/${name}.conf`, text);
  }

  /** Restarts the agent, as an operator does. */
  async restart(): Promise<void> {
    await this.container.run(["systemctl", "restart", UNIT]);
  }

  /** Waits until an agent has reported itself healthy as this version. */
  async healthy(version: string): Promise<void> {
    const marker = `${STAGE}/healthy_marker`;
    try {
      await eventually(`${version} being healthy`, () => this.read(marker) === `${version}\n`);
    } catch (cause) {
      const lines = await this.container.journal("-u", UNIT, "-t", HOOK_TAG);
      throw new Error(lines.map(({ message }) => message).join("\n"), { cause });
    }
  }

  /** Properties of the unit by name. */
  async unit(...names: string[]): Promise<Record<string, string>> {
    const text = await this.container.run(["systemctl", "show", UNIT, `-p${names.join(",")}`]);
    return Object.fromEntries(
      text.trim().split("\n").map((line) => {
        const equals = line.indexOf("=");
        return [line.slice(0, equals), line.slice(equals + 1)];
      }),
    );
  }

  /**
   * Puts a bundle into `incoming/` as an agent does, but without the agent's checks. Agents of the
   * shell tooling leave `ready` out.
   */
  stage(version: string, files: Files, options: { ready: boolean } = { ready: true }): void {
    const lines = Object.entries(files).map(([name, content]) =>
      `${sha256(content)} 0755 ${name} ${destination(name)}\n`
    );
    const all = { ...files, "MANIFEST.txt": lines.join(""), VERSION: `${version}\n` };
    Deno.mkdirSync(this.path(`${STAGE}/incoming`));
    for (const [name, content] of Object.entries(all)) {
      this.write(`${STAGE}/incoming/${name}`, content);
    }
    if (options.ready) this.write(`${STAGE}/ready`, JSON.stringify({ version }));
    const { uid, gid } = Deno.lstatSync(this.path(STAGE));
    for (const name of ["incoming", ...Object.keys(all).map((each) => `incoming/${each}`)]) {
      Deno.chownSync(this.path(`${STAGE}/${name}`), uid, gid);
    }
  }

  /** SHA-256 by path of everything in the two directories that an upgrade may write to. */
  installed(): Record<string, string> {
    const found: Record<string, string> = {};
    for (const directory of ["usr/local/bin", "usr/local/lib/ongrid-edge"]) {
      for (const name of this.names(directory)) {
        found[`/${directory}/${name}`] = sha256(
          Deno.readFileSync(this.path(`${directory}/${name}`)),
        );
      }
    }
    return found;
  }

  /** Names in a directory, sorted; none where it is absent. */
  names(directory: string): string[] {
    try {
      return [...Deno.readDirSync(this.path(directory))].map(({ name }) => name).sort();
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return [];
      throw error;
    }
  }

  /** The text of a file; undefined where it is absent. */
  read(path: string): string | undefined {
    try {
      return Deno.readTextFileSync(this.path(path));
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return undefined;
      throw error;
    }
  }

  /** One of root's records, parsed. */
  record(name: string): Record<string, unknown> | undefined {
    const text = this.read(`${RECORDS}/${name}`);
    return text === undefined ? undefined : JSON.parse(text);
  }

  /** Writes a file as root, with its directories. */
  write(path: string, content: string | Uint8Array, mode = 0o644): void {
    const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
    Deno.mkdirSync(join(this.path(path), ".."), { recursive: true });
    Deno.writeFileSync(this.path(path), bytes);
    Deno.chmodSync(this.path(path), mode);
  }

  /** Removes a file; one that is absent is fine. */
  remove(path: string): void {
    try {
      Deno.removeSync(this.path(path));
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }

  /** Where a path of the container is on this machine. */
  path(path: string): string {
    return join(this.container.root, path);
  }

  /**
   * Everything that was changed in the root directory since the container was made, with times; the
   * journal, which changes by itself, left out.
   */
  changes(): Record<string, string> {
    const { upper } = this.container;
    const found: Record<string, string> = {};
    for (const { path } of walkSync(upper, { skip: [/\/var\/log\/journal$/] })) {
      const { size, mtime, ino } = Deno.lstatSync(path);
      found[path.slice(upper.length)] = `${ino} ${size} ${mtime?.toISOString()}`;
    }
    return found;
  }

  /** What the hook and its guard told the journal, all boots, with the levels. */
  async hookLog(): Promise<string[]> {
    const lines = await this.container.journal("-t", HOOK_TAG);
    return lines.map(({ priority, message }) => `${priority} ${message}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.container[Symbol.asyncDispose]();
  }
}

/** What {@linkcode EdgeHost.installed} shows where these files are in their places. */
export function inPlace(files: Files): Record<string, string> {
  return Object.fromEntries(
    Object.entries(files).map(([name, content]) => [destination(name), sha256(content)]),
  );
}

/** What it shows where these files are kept for a rollback. */
export function keptAside(files: Files): Record<string, string> {
  return Object.fromEntries(
    Object.entries(inPlace(files)).map(([path, hash]) => [`${path}.previous`, hash]),
  );
}

function destination(name: string): string {
  const owned = OWNED_FILES.find((each) => each.name === name);
  if (owned === undefined) throw new Error(`${name} is none of the files of an upgrade`);
  return owned.dest;
}

function sha256(content: string | Uint8Array): string {
  return createHash("sha256").update(content).digest("hex");
}
