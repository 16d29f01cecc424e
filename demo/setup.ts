/** Building the two versions and starting the fleet. */

import { join } from "@std/path";
import { OngridError } from "../lib/cli/errors.ts";
import { freeBytes } from "../lib/fs/space.ts";
import { allRun, enrolEdges, type FleetMember, waitFor } from "./fleet.ts";
import type { FleetApi } from "./fleet_api.ts";
import { ManagerProcess } from "./manager_process.ts";
import { makeBundle, makeRelease, type Release } from "./release.ts";
import { NEW, OLD, ROOT, type Stage } from "./stage.ts";

/** Disk that one edge needs while it is upgraded, and everything else together, in bytes. */
const BYTES_PER_EDGE = 400e6;
const BYTES_BESIDE = 500e6;

/** How long the edges may take to connect for the first time, in milliseconds. */
const CONNECT_MS = 60_000;

/** The releases of the demo, by version. */
export type Releases = ReadonlyMap<string, Release>;

/** A fleet that is up. */
export interface Fleet {
  readonly manager: ManagerProcess;
  readonly api: FleetApi;
  readonly members: readonly FleetMember[];
  readonly releases: Releases;
}

/**
 * Sees to it that there is room for the demo.
 *
 * @throws {OngridError} There is not.
 */
export function checkSpace({ directory }: Stage, edges: number): void {
  const needed = BYTES_BESIDE + edges * BYTES_PER_EDGE;
  const free = freeBytes(directory);
  if (free >= needed) return;
  const megabytes = (bytes: number) => `${Math.round(bytes / 1e6)} MB`;
  throw new OngridError(
    `The demo with ${edges} edges needs ${megabytes(needed)} in ${directory}, ` +
      `and ${megabytes(free)} are free`,
    { hint: "Take fewer edges (--edges), or another place (TMPDIR=/somewhere)." },
  );
}

/** Builds both versions and a bundle of each. */
export async function buildReleases(stage: Stage): Promise<Releases> {
  const outDir = bundleDirectory(stage);
  Deno.mkdirSync(outDir);
  const own = {
    [OLD]: {},
    [NEW]: { agentEntry: "demo/new_agent.ts", distinctRuntime: true },
  };
  const releases = new Map<string, Release>();
  for (const [version, options] of Object.entries(own)) {
    const directory = join(stage.directory, "releases", version);
    releases.set(version, await makeRelease({ root: ROOT, version, directory, ...options }));
  }
  const bundles = await Promise.all(
    [...releases.values()].map((release) => makeBundle(release, { outDir })),
  );
  for (const { path, bytes } of bundles) {
    stage.output.info(`${path.slice(outDir.length + 1)}: ${(bytes / 1e6).toFixed(1)} MB`);
  }
  return releases;
}

/** Starts the manager, enrols edges and starts them, and waits until they are connected. */
export async function startFleet(
  stage: Stage,
  releases: Releases,
  count: number,
): Promise<Fleet> {
  const { processes, output, signal } = stage;
  const [old, fresh] = [releases.get(OLD), releases.get(NEW)];
  if (old === undefined || fresh === undefined) throw new TypeError("A release is missing");
  const manager = new ManagerProcess({
    processes,
    program: join(fresh.directory, "manager"),
    directory: join(stage.directory, "manager"),
    bundleDirectory: bundleDirectory(stage),
  });
  await manager.start();
  const api = await manager.login();
  output.info(`manager: HTTP on ${manager.url}, edges on ${manager.edgeAddress}`);
  const directory = join(stage.directory, "hosts");
  const members = await enrolEdges({ api, manager, processes, directory, count, release: old });
  for (const { host } of members) host.start();
  await waitFor(async () => allRun(await api.edges(), OLD) || undefined, {
    what: "the edges to connect",
    timeoutMs: CONNECT_MS,
    signal,
  });
  return { manager, api, members, releases };
}

function bundleDirectory({ directory }: Stage): string {
  return join(directory, "bundles");
}
