/** An edge host in a directory, on which programs run as they would for real. */

import { dirname, join } from "@std/path";
import { manifestOf, ordinaryFiles, type TestFile } from "../../support/hook_host.ts";
import type { Invocation } from "./process.ts";

/** The agent's account in these tests: anything but root. */
const AGENT_UID = 4000;

/** The names that no upgrade owns, with their contents. */
const NEIGHBOURS = { "bin/neighbour": "not ours\n", "bin/neighbour.previous": "not ours either\n" };

const VERSIONS = ["v1", "v2", "v3"];

/** The host; its directories are made at once, and stay. */
export class EdgeHost {
  readonly bin: string;
  readonly lib: string;
  readonly stage: string;
  readonly rootState: string;

  constructor(readonly root: string) {
    this.bin = join(root, "bin");
    this.lib = join(root, "lib");
    this.stage = join(root, "state/.upgrade");
    this.rootState = join(root, "root-state");
    this.clear();
  }

  /** An empty host: directories, and neighbours that no upgrade may touch. */
  clear(): void {
    for (const directory of [this.bin, this.lib, this.stage]) {
      Deno.mkdirSync(directory, { recursive: true });
    }
    for (const [path, content] of Object.entries(NEIGHBOURS)) this.write(path, content);
    Deno.chownSync(dirname(this.stage), AGENT_UID, AGENT_UID);
    Deno.chownSync(this.stage, AGENT_UID, AGENT_UID);
  }

  /** Hook and guard are told of these directories. */
  get env(): Record<string, string> {
    return {
      ONGRID_EDGE_UPGRADE_STAGE_DIR: this.stage,
      ONGRID_EDGE_UPGRADE_BIN_DIR: this.bin,
      ONGRID_EDGE_UPGRADE_LIB_DIR: this.lib,
      ONGRID_EDGE_UPGRADE_PUBLIC_KEY: join(this.root, "upgrade.pub"),
      ONGRID_EDGE_UPGRADE_ROOT_STATE_DIR: this.rootState,
    };
  }

  /** A program on this host. */
  start(command: string, ...args: string[]): Invocation {
    return { command, args, env: this.env };
  }

  /** Installs a version as if it had always been there; `node_exporter` is new with the next one. */
  install(version: string, files = ordinaryFiles(version)): void {
    for (const [name, { content }] of Object.entries(files)) {
      if (name !== "node_exporter") this.write(this.#where(name), content, 0o755);
    }
  }

  /** Puts a bundle into `incoming/`, as an agent does. */
  stageBundle(version: string, files = ordinaryFiles(version), manifest = manifestOf(files)): void {
    this.stageFiles(files);
    this.stageText("VERSION", `${version}\n`);
    this.stageText("MANIFEST.txt", manifest);
    this.mark("ready", JSON.stringify({ version }));
  }

  /** The files of a bundle without what describes it. */
  stageFiles(files: Record<string, Pick<TestFile, "content">>): void {
    Deno.mkdirSync(join(this.stage, "incoming"), { recursive: true });
    Deno.chownSync(join(this.stage, "incoming"), AGENT_UID, AGENT_UID);
    for (const [src, { content }] of Object.entries(files)) this.stageText(src, content);
  }

  /** One file of a bundle. */
  stageText(name: string, content: string): void {
    this.#asAgent(join(this.stage, "incoming", name), content);
  }

  /** Writes a marker into the agent's directory. */
  mark(name: string, text: string): void {
    this.#asAgent(join(this.stage, name), text);
  }

  /** Writes a file of root's below the host's directory. */
  write(path: string, content: string, mode = 0o644): void {
    const absolute = join(this.root, path);
    Deno.mkdirSync(dirname(absolute), { recursive: true });
    Deno.writeTextFileSync(absolute, content);
    Deno.chmodSync(absolute, mode);
  }

  /** The content of a file below the host's directory; undefined where there is none. */
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

  /** What is installed: `all v1`, `all v2`, or every destination's content where it is neither. */
  installed(): string {
    const found = this.destinations();
    for (const version of VERSIONS) {
      const files = Object.entries(ordinaryFiles(version));
      const isSame = (names: typeof files) =>
        names.length === Object.keys(found).length &&
        names.every(([name, { content }]) => found[name] === content);
      if (isSame(files)) return `all ${version}`;
      if (isSame(files.filter(([name]) => name !== "node_exporter"))) {
        return `all ${version} without node_exporter`;
      }
    }
    return JSON.stringify(found);
  }

  /** The destinations of an ordinary upgrade that are there, with their contents. */
  destinations(): Record<string, string> {
    const found: Record<string, string> = {};
    for (const name of Object.keys(ordinaryFiles("v1"))) {
      const content = this.read(this.#where(name));
      if (content !== undefined) found[name] = content;
    }
    return found;
  }

  /**
   * The destinations that are absent or no version's, at whatever moment: an agent may be started on
   * each mixture that a kill leaves, so each file of it must be whole.
   */
  damaged(): string[] {
    const found = this.destinations();
    return Object.keys(ordinaryFiles("v1")).filter((name) => {
      const content = found[name];
      if (content === undefined) return name !== "node_exporter";
      return !VERSIONS.some((version) => ordinaryFiles(version)[name]?.content === content);
    });
  }

  #where(name: string): string {
    return name === "ongrid-edge" ? `bin/${name}` : `lib/${name}`;
  }

  #asAgent(path: string, content: string): void {
    Deno.mkdirSync(dirname(path), { recursive: true });
    Deno.writeTextFileSync(path, content);
    Deno.chownSync(path, AGENT_UID, AGENT_UID);
  }
}
