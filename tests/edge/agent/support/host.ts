/** A temporary host: the directories of an edge, and effects without real waiting. */

import { join } from "@std/path";
import { type EdgePaths, edgePaths, STAGE } from "../../../../lib/edge/paths.ts";
import { type AgentEffects, systemEffects } from "../../../../lib/edge/agent/effects.ts";
import { createOpener } from "../../../../lib/edge/agent/http.ts";
import { Stager } from "../../../../lib/edge/agent/stager.ts";
import { DOWNLOAD_LIMITS, type DownloadLimits } from "../../../../lib/edge/agent/download.ts";

/** The version that agents of these tests have. */
export const TEST_VERSION = "v1.0.0";

/** Limits under which a server that breaks is given up in milliseconds. */
export const QUICK: DownloadLimits = { ...DOWNLOAD_LIMITS, retryMs: 1 };

/** A directory tree that is removed at the end of the test. */
export class TestHost implements Disposable {
  readonly root: string;
  readonly paths: EdgePaths;

  constructor() {
    this.root = Deno.makeTempDirSync({ prefix: "agent-" });
    Deno.chmodSync(this.root, 0o755);
    this.paths = edgePaths((name) => this.env()[name]);
    for (const path of [this.paths.stage, this.paths.rootState]) Deno.mkdirSync(path);
  }

  /** The environment that leads a program to these directories. */
  env(): Record<string, string> {
    return {
      ONGRID_EDGE_UPGRADE_STAGE_DIR: join(this.root, "stage"),
      ONGRID_EDGE_UPGRADE_BIN_DIR: join(this.root, "bin"),
      ONGRID_EDGE_UPGRADE_LIB_DIR: join(this.root, "lib"),
    };
  }

  /** Writes a file of the state directory. */
  write(name: string, text: string): void {
    Deno.writeTextFileSync(join(this.paths.stage, name), text);
  }

  /** Text of a file of the state directory; undefined where absent. */
  read(name: string): string | undefined {
    try {
      return Deno.readTextFileSync(join(this.paths.stage, name));
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return undefined;
      throw error;
    }
  }

  /** Writes one of root's records. */
  record(name: string, value: unknown): void {
    Deno.writeTextFileSync(join(this.paths.rootState, name), JSON.stringify(value));
  }

  /** Names in the state directory, sorted; the lock file, which stays for ever, left out. */
  names(below = ""): string[] {
    const directory = join(this.paths.stage, below);
    return [...Deno.readDirSync(directory)].map((entry) => entry.name)
      .filter((name) => name !== "agent.lock").sort();
  }

  /** Marks an upgrade as applied and not yet judged. */
  arm(version: string): void {
    this.write(STAGE.lastUpgradeAt, "2026-01-02T03:04:05Z\n");
    this.write(STAGE.lastUpgradeVersion, `${version}\n`);
  }

  /** A stager of this host, as the agent has one. */
  stager(options: { limits?: DownloadLimits; effects?: AgentEffects } = {}): Stager {
    return new Stager({
      paths: this.paths,
      version: TEST_VERSION,
      openUrl: createOpener(),
      effects: options.effects ?? quickEffects(),
      limits: options.limits ?? QUICK,
    });
  }

  [Symbol.dispose](): void {
    Deno.removeSync(this.root, { recursive: true });
  }
}

/** Real effects on a clock that runs a hundred times as fast. */
export function quickEffects(overrides: Partial<AgentEffects> = {}): AgentEffects {
  const real = systemEffects();
  return {
    ...real,
    random: () => 0.5,
    sleep: (milliseconds, signal) => real.sleep(milliseconds / 100, signal),
    ...overrides,
  };
}

/** Waits until `check` gives something else than undefined or false. */
export async function eventually<T>(
  what: string,
  check: () => T | undefined | false | Promise<T | undefined | false>,
  milliseconds = 20_000,
): Promise<T> {
  const deadline = performance.now() + milliseconds;
  for (;;) {
    const value = await check();
    if (value !== undefined && value !== false) return value;
    if (performance.now() > deadline) throw new Error(`never happened: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
