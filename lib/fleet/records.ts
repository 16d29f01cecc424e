/** What the registry stores, as the rest of the manager sees it. Times are ms since the epoch. */

import type { HostInfo } from "./messages.ts";

/** What became of the last upgrade of an edge. */
export interface UpgradeOutcome {
  /** The version that was to be installed. */
  version: string;
  /** A final phase of a push, or the state that the edge itself reported. */
  state: string;
  /** Why, in words; empty when there is nothing to say. */
  reason: string;
  at: number;
}

/** One enrolled edge. */
export interface EdgeRecord {
  readonly id: bigint;
  readonly name: string;
  readonly accessKey: string;
  readonly createdAt: number;
  readonly status: "online" | "offline";
  /** The remote address of the current connection. */
  readonly address: string | undefined;
  /** Empty until the edge registers for the first time. */
  readonly agentVersion: string;
  readonly host: HostInfo | undefined;
  readonly lastSeenAt: number | undefined;
  readonly lastRegisteredAt: number | undefined;
  readonly lastUpgrade: UpgradeOutcome | undefined;
  /** The edge's own last word about its upgrade, as JSON; tells a new report from a repeated one. */
  readonly report: string;
}

/** Where a push of one edge is; the last five are final. */
export const PHASES = [
  "queued",
  "fetching",
  "staged",
  "restarting",
  "healthy",
  "rolled_back",
  "failed",
  "timed_out",
  "skipped",
] as const;

/** Where a push of one edge is. */
export type Phase = (typeof PHASES)[number];

const UNFINISHED: ReadonlySet<Phase> = new Set(["queued", "fetching", "staged", "restarting"]);

/** Whether nothing more happens in this phase. */
export function isFinal(phase: Phase): boolean {
  return !UNFINISHED.has(phase);
}

/** One attempt to bring one edge to one version. */
export interface PushRecord {
  readonly id: bigint;
  /** Undefined for an edge that was pushed on its own. */
  readonly rolloutId: bigint | undefined;
  readonly edgeId: bigint;
  readonly edgeName: string;
  readonly fromVersion: string;
  readonly targetVersion: string;
  /** Architecture, file and checksum of the bundle; empty until the edge's turn comes. */
  readonly arch: string;
  readonly file: string;
  readonly sha256: string;
  readonly phase: Phase;
  /** A short word for scripts, such as `fetch_failed`; empty where nothing went wrong. */
  readonly code: string;
  /** Why it is where it is, in words. */
  readonly reason: string;
  /** When each phase was entered, in order. */
  readonly phases: readonly { readonly phase: Phase; readonly at: number }[];
  /** How often `fetch_package` was sent for this push. */
  readonly asks: number;
  /** How often `apply_package` was sent again to find out what became of it. */
  readonly probes: number;
  /** When `apply_package` was first sent; set before it is sent. */
  readonly applySentAt: number | undefined;
  /** Whether the edge accepted `apply_package`. */
  readonly applyAccepted: boolean;
  /** The edge's upgrade report when the push began: an equal one later on is no news. */
  readonly baselineReport: string;
  /** When the edge must have the bundle staged. */
  readonly fetchDeadlineAt: number | undefined;
  /** When what the push waits for now must have happened. */
  readonly deadlineAt: number | undefined;
  /** The version with which the edge registered again. */
  readonly observedVersion: string;
  readonly createdBy: string;
  readonly createdAt: number;
  readonly startedAt: number | undefined;
  readonly finishedAt: number | undefined;
}

/** How a rollout stands; all but `running` are final. */
export type RolloutState = "running" | "succeeded" | "partial_failed" | "failed";

/** One order to bring many edges to one version. */
export interface RolloutRecord {
  readonly id: bigint;
  readonly targetVersion: string;
  readonly state: RolloutState;
  /** Whether edges that already run the version are pushed, too. */
  readonly force: boolean;
  /** Edges in flight at a time. */
  readonly concurrency: number;
  /** How long an edge may take to come back after it was told to restart, in ms. */
  readonly verifyMs: number;
  readonly total: number;
  readonly createdBy: string;
  readonly createdAt: number;
  readonly finishedAt: number | undefined;
}

/** The roles of people, each allowed what the one before is allowed and more. */
export const ROLES = ["viewer", "operator", "admin"] as const;

/** What a person may do: look, upgrade and enrol, or also delete. */
export type Role = (typeof ROLES)[number];

/** A person who may log in. */
export interface UserRecord {
  readonly id: bigint;
  readonly email: string;
  readonly role: Role;
}
