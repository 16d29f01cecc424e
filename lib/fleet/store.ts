/**
 * What the manager keeps, as interfaces: SQLite is one implementation, and every method is one
 * atomic step so that another database can be one, too. Methods reject with the database's error
 * when it fails.
 */

import type { HostInfo } from "./messages.ts";
import type {
  EdgeRecord,
  Phase,
  PushRecord,
  Role,
  RolloutRecord,
  UpgradeOutcome,
  UserRecord,
} from "./records.ts";

/** One page of a longer list. */
export interface Page<T> {
  items: T[];
  /** How many there are in all. */
  total: number;
}

/** Which part of a list is wanted. */
export interface Slice {
  limit: number;
  offset: number;
}

/** Which edges are wanted; an absent field does not restrict. */
export interface EdgeFilter {
  status?: "online" | "offline" | undefined;
  /** Part of the edge's name or of its host's. */
  text?: string | undefined;
}

/** The edges of the fleet. */
export interface EdgeStore {
  /** Enrols an edge; the row is on the disk when this resolves, as its secret is shown only once. */
  add(edge: { name: string; accessKey: string; secretHash: Uint8Array; now: number }): Promise<
    EdgeRecord
  >;
  get(id: bigint): Promise<EdgeRecord | undefined>;
  list(filter: EdgeFilter, slice: Slice): Promise<Page<EdgeRecord>>;
  /** Forgets an edge and its history; false when there is none. */
  remove(id: bigint): Promise<boolean>;
  findCredentials(
    accessKey: string,
  ): Promise<{ id: bigint; name: string; secretHash: Uint8Array } | undefined>;
  setOnline(id: bigint, connection: { address: string; now: number }): Promise<void>;
  /** Marks the edge offline when `address` still is its current connection. */
  setOffline(id: bigint, connection: { address: string; now: number }): Promise<void>;
  /** Marks every edge offline: no connection outlives the embedded broker. */
  setAllOffline(): Promise<void>;
  /** Stores what an edge registered with; false when there is no such edge. */
  register(id: bigint, facts: RegisteredFacts): Promise<boolean>;
  /** Notes that the edge gave a sign of life; false when there is no such edge. */
  touch(id: bigint, now: number): Promise<boolean>;
  setLastUpgrade(id: bigint, outcome: UpgradeOutcome): Promise<void>;
}

/** What `register_edge` tells about an edge. */
export interface RegisteredFacts {
  agentVersion: string;
  host: HostInfo;
  /** The upgrade report as JSON; empty when the agent sends none. */
  report: string;
  now: number;
}

/** A push that is about to be stored. */
export interface NewPush {
  edgeId: bigint;
  edgeName: string;
  fromVersion: string;
  targetVersion: string;
  createdBy: string;
  now: number;
}

/** A rollout that is about to be stored. */
export interface NewRollout {
  targetVersion: string;
  force: boolean;
  concurrency: number;
  verifyMs: number;
  createdBy: string;
  now: number;
}

/** Pushes and rollouts. */
export interface PushStore {
  add(push: NewPush): Promise<PushRecord>;
  /**
   * Stores the push as it is now.
   *
   * @throws When another push of the same edge is in flight.
   */
  save(push: PushRecord): Promise<void>;
  /** Stores a push that has ended and, with its edge, that this was its last upgrade. */
  end(push: PushRecord): Promise<void>;
  /** Pushes in flight (told something, not final), lowest id first. */
  inFlight(): Promise<PushRecord[]>;
  /** Single pushes that never began, left by a manager that was stopped. */
  orphans(): Promise<PushRecord[]>;
  /** The next queued push of a rollout with an id above `after`. */
  nextQueued(rolloutId: bigint, after: bigint): Promise<PushRecord | undefined>;
  ofEdge(edgeId: bigint, slice: Slice): Promise<Page<PushRecord>>;
  ofRollout(rolloutId: bigint, slice: Slice): Promise<Page<PushRecord>>;
  /** Creates a rollout with one queued push for each of `edgeIds` that exists. */
  addRollout(rollout: NewRollout, edgeIds: readonly bigint[]): Promise<RolloutRecord>;
  getRollout(id: bigint): Promise<RolloutRecord | undefined>;
  /** Rollouts, newest first. */
  listRollouts(slice: Slice): Promise<Page<RolloutRecord>>;
  runningRollouts(): Promise<RolloutRecord[]>;
  /** How many pushes of a rollout are in each phase. */
  countPhases(rolloutId: bigint): Promise<Map<Phase, number>>;
  /** How many pushes of a rollout ended with `code`. */
  countCode(rolloutId: bigint, code: string): Promise<number>;
  finishRollout(id: bigint, end: { state: RolloutRecord["state"]; now: number }): Promise<void>;
}

/** People and their tokens. */
export interface UserStore {
  count(): Promise<number>;
  add(user: { email: string; passwordHash: string; role: Role; now: number }): Promise<UserRecord>;
  findByEmail(email: string): Promise<(UserRecord & { passwordHash: string }) | undefined>;
  addToken(token: { hash: Uint8Array; userId: bigint; now: number; expiresAt: number }): Promise<
    void
  >;
  /** Whose token this is, unless it has expired. */
  findByToken(hash: Uint8Array, now: number): Promise<UserRecord | undefined>;
}

/** All that the manager keeps. */
export interface FleetStore {
  readonly edges: EdgeStore;
  readonly pushes: PushStore;
  readonly users: UserStore;
  /** Resolves when the database answers. */
  ping(): Promise<void>;
  close(): Promise<void>;
}
