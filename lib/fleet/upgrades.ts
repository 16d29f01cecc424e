/** Deciding what one edge is to be sent, and pushing a single edge. */

import { ApiError, invalid } from "./api_error.ts";
import { hostBundleArch, parseBundleArch, sameRelease } from "./arch.ts";
import type { Bundle, BundleDirectory } from "./bundles.ts";
import type { Effects } from "./effects.ts";
import type { PushDriver, RunningPush, Told } from "./push_driver.ts";
import type { PushSettings } from "./push_state.ts";
import type { EdgeRecord, Phase, PushRecord } from "./records.ts";
import type { FleetStore } from "./store.ts";

/** What somebody asks for one edge. */
export interface UpgradeRequest {
  /** Empty: the architecture the edge reported. */
  arch: string;
  /** Empty: the manager's own version. */
  version: string;
  /** Pushes an edge that already runs the version, too. */
  force: boolean;
  createdBy: string;
}

/** What became of such a request. */
export type UpgradeResult =
  | { kind: "current"; version: string }
  | { kind: "told"; told: Told };

/** What the upgrades work with. */
export interface UpgradesOptions {
  store: FleetStore;
  bundles: BundleDirectory;
  driver: PushDriver;
  effects: Effects;
  settings: PushSettings;
}

/** Pushes edges, one at a time or as part of something larger. */
export class Upgrades {
  readonly #options: UpgradesOptions;

  constructor(options: UpgradesOptions) {
    this.#options = options;
  }

  /**
   * Brings one edge to a version; resolves when the edge has been told. What comes after (its
   * restart, the verdict) goes on by itself and is found in the edge's history.
   *
   * @throws {ApiError} `not-found`, `invalid`, `conflict` or `not-wired-yet`: nothing was sent.
   */
  async pushOne(edgeId: bigint, request: UpgradeRequest): Promise<UpgradeResult> {
    const { store, bundles, driver, effects, settings } = this.#options;
    const edge = await store.edges.get(edgeId);
    if (edge === undefined) throw new ApiError("not-found", `edge ${edgeId}: not found`);
    const version = bundles.wantedVersion(request.version);
    if (!request.force && sameRelease(edge.agentVersion, version)) {
      return { kind: "current", version: edge.agentVersion };
    }
    const bundle = await bundles.resolve(edgeArch(edge, request.arch), version);
    this.#requireIdle(edge);
    const record = await store.pushes.add({
      edgeId,
      edgeName: edge.name,
      fromVersion: edge.agentVersion,
      targetVersion: bundle.version,
      createdBy: request.createdBy,
      now: effects.now(),
    });
    // Adding it took a moment, in which somebody else may have pushed the edge.
    if (driver.isBusy(edgeId)) {
      await this.end(record, "skipped", "in_flight", "another upgrade of this edge is under way");
      this.#requireIdle(edge);
    }
    return { kind: "told", told: await this.begin(record, edge, bundle, settings).told };
  }

  /** Begins a stored push with the bundle chosen for its edge, which must not be busy. */
  begin(
    record: PushRecord,
    edge: EdgeRecord,
    bundle: Bundle,
    settings: PushSettings,
  ): RunningPush {
    const { version: targetVersion, arch, file, sha256 } = bundle;
    const fromVersion = edge.agentVersion;
    const chosen = { fromVersion, targetVersion, arch, file, sha256 };
    const baselineReport = edge.report;
    return this.#options.driver.start({ ...record, ...chosen, baselineReport }, settings);
  }

  /** Ends a push that never began. */
  async end(record: PushRecord, phase: Phase, code: string, reason: string): Promise<void> {
    const now = this.#options.effects.now();
    const phases = [...record.phases, { phase, at: now }];
    const ended = { ...record, phase, code, reason, phases, finishedAt: now };
    await this.#options.store.pushes.save(ended);
  }

  #requireIdle(edge: EdgeRecord): void {
    if (!this.#options.driver.isBusy(edge.id)) return;
    throw new ApiError("conflict", `another upgrade of edge ${edge.id} is under way`, {
      hint: "Wait until it has ended: GET /api/v1/edges/{id}/upgrades shows it.",
    });
  }
}

/** The architecture of the bundle for an edge, from its registration. */
function edgeArch(edge: EdgeRecord, requested: string) {
  if (edge.host === undefined) throw invalid(`edge ${edge.id} is not linked to a host device`);
  const host = hostBundleArch(edge.host);
  if ("problem" in host) throw invalid(`edge ${edge.id}: ${host.problem}`);
  if (requested.trim() === "" || parseBundleArch(requested) === host.arch) return host.arch;
  throw invalid(`arch does not fit edge ${edge.id}, which is ${host.arch}`);
}
