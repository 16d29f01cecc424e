import { join } from "@std/path";
import { wrongFiles } from "../../demo/files_check.ts";
import { enrolEdges, type FleetMember, waitFor } from "../../demo/fleet.ts";
import type { FleetApi, PushInfo, RolloutInfo, RolloutOrder } from "../../demo/fleet_api.ts";
import { ManagerProcess } from "../../demo/manager_process.ts";
import { Processes } from "../../demo/processes.ts";
import { makeBundle, makeRelease, type Release, RELEASE_NAMES } from "../../demo/release.ts";
import { bundleFileName } from "../../lib/bundle/sidecar.ts";
import { RUNTIME_NAME } from "../../lib/release/launcher.ts";
import { hostTarget } from "../../lib/release/targets.ts";
import { ROOT } from "./built_programs.ts";

/** What every edge of a test has installed in the beginning. */
export const OLD = "v1.0.0";

/** What it is upgraded to. Its agent ends at once where the retired setting is set. */
export const NEW = "v1.1.0";

/** How long anything may take that a test waits for, in milliseconds; for a busy machine. */
const PATIENCE_MS = 60_000;

/** How a fleet of a test is set up. */
export interface TestFleetOptions {
  /** How many edges. */
  readonly edges: number;
  /** Where edges download from; default: the manager itself. */
  readonly publicUrl?: (bundleDirectory: string) => string;
}

/** A built manager, and built agents on hosts of their own; nothing is left of it in the end. */
export class TestFleet implements AsyncDisposable {
  readonly members: readonly FleetMember[];
  readonly manager: ManagerProcess;
  readonly bundles: string;
  readonly #processes: Processes;
  readonly #releases: ReadonlyMap<string, Release>;
  #api: FleetApi;

  private constructor(
    parts: {
      members: readonly FleetMember[];
      manager: ManagerProcess;
      bundles: string;
      processes: Processes;
      releases: ReadonlyMap<string, Release>;
      api: FleetApi;
    },
  ) {
    this.members = parts.members;
    this.manager = parts.manager;
    this.bundles = parts.bundles;
    this.#processes = parts.processes;
    this.#releases = parts.releases;
    this.#api = parts.api;
  }

  /** Starts a manager and edges with {@linkcode OLD}, all of which are connected on return. */
  static async start({ edges, publicUrl }: TestFleetOptions): Promise<TestFleet> {
    const processes = new Processes(Deno.makeTempDirSync({ prefix: "ongrid-e2e-" }));
    try {
      const { directory } = processes;
      const bundles = join(directory, "bundles");
      Deno.mkdirSync(bundles);
      const releases = await testReleases();
      for (const release of releases.values()) {
        // Without the runtime, which is the same in both: the tests are quicker by far.
        const names = RELEASE_NAMES.filter((name) => name !== RUNTIME_NAME);
        await makeBundle(release, { outDir: bundles, names });
      }
      const old = required(releases.get(OLD));
      const manager = new ManagerProcess({
        processes,
        program: join(old.directory, "manager"),
        directory: join(directory, "manager"),
        bundleDirectory: bundles,
        ...(publicUrl === undefined ? {} : { env: { ONGRID_PUBLIC_URL: publicUrl(bundles) } }),
      });
      await manager.start();
      const api = await manager.login();
      const members = await enrolEdges({
        api,
        manager,
        processes,
        directory: join(directory, "hosts"),
        count: edges,
        release: old,
      });
      const fleet = new TestFleet({ members, manager, bundles, processes, releases, api });
      for (const { host } of members) host.start();
      for (const { name } of members) await fleet.runs(name, OLD);
      return fleet;
    } catch (e) {
      await processes[Symbol.asyncDispose]();
      throw e;
    }
  }

  /** A client of the manager. */
  get api(): FleetApi {
    return this.#api;
  }

  /** The edge of that number, counted from 1. */
  member(number: number): FleetMember {
    return required(this.members[number - 1]);
  }

  /** Path of the bundle of a version. */
  bundle(version: string): string {
    const arch = hostTarget();
    if (arch !== "linux-amd64" && arch !== "linux-arm64") {
      throw new TypeError(`No edges on ${arch}`);
    }
    return join(this.bundles, bundleFileName({ arch, version }));
  }

  /** Waits until an edge is connected and runs a version. */
  async runs(name: string, version: string): Promise<void> {
    await this.waits(`${name} to run ${version}`, async () => {
      const edge = (await this.#api.edges()).find((each) => each.name === name);
      return edge?.status === "online" && edge.agent_version === version || undefined;
    });
  }

  /** Waits until a manager that was started again lets people log in. */
  async loginAgain(): Promise<void> {
    this.#api = await this.manager.login();
  }

  /** Rolls out and waits until it has ended. */
  async rollOut(order: RolloutOrder): Promise<RolloutInfo> {
    const { id } = await this.#api.rollOut(order);
    return await this.ended(id);
  }

  /** Waits until a rollout has ended. */
  async ended(id: number): Promise<RolloutInfo> {
    return await this.waits(`rollout ${id} to end`, async () => {
      const rollout = await this.#api.rollout(id);
      return rollout.state === "running" ? undefined : rollout;
    });
  }

  /** Waits for an answer. */
  async waits<T>(what: string, ask: () => Promise<T | undefined> | T | undefined): Promise<T> {
    return await waitFor(ask, { what, timeoutMs: PATIENCE_MS });
  }

  /** Waits until an edge's log has a line that matches; returns it. */
  async logged(member: FleetMember, pattern: RegExp): Promise<string> {
    return await this.waits(`${pattern} in the log of ${member.name}`, () => {
      const lines = Deno.readTextFileSync(member.host.log).split("\n");
      return lines.find((line) => pattern.test(line));
    });
  }

  /** What is wrong with the files on a host that should have this version. */
  wrongFiles(member: FleetMember, version: string): string[] {
    return wrongFiles(member.host, required(this.#releases.get(version)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#processes[Symbol.asyncDispose]();
  }
}

/** What a rollout says about one edge. */
export function pushOf({ edges = [] }: RolloutInfo, { id }: FleetMember): PushInfo {
  return required(edges.find(({ edge_id }) => edge_id === id));
}

/** Both versions, built where that was not done before. */
async function testReleases(): Promise<Map<string, Release>> {
  const releases = new Map<string, Release>();
  for (const [version, own] of [[OLD, {}], [NEW, { agentEntry: "demo/new_agent.ts" }]] as const) {
    const directory = join(ROOT, "build", "test", `e2e-${version}`);
    releases.set(version, await makeRelease({ root: ROOT, version, directory, ...own }));
  }
  return releases;
}

function required<T>(value: T | undefined): T {
  if (value === undefined) throw new TypeError("It is not there");
  return value;
}
