/** The demo's fleet: a manager, and hosts in directories beside it. */

import { join } from "@std/path";
import { OngridError } from "../lib/cli/errors.ts";
import { EdgeHost } from "./edge_host.ts";
import type { EdgeInfo, FleetApi } from "./fleet_api.ts";
import type { ManagerProcess } from "./manager_process.ts";
import type { Processes } from "./processes.ts";
import type { Release } from "./release.ts";

/** An enrolled edge and its host. */
export interface FleetMember {
  readonly id: number;
  readonly name: string;
  readonly host: EdgeHost;
}

/** What {@linkcode enrolEdges} enrols. */
export interface EnrolOptions {
  readonly api: FleetApi;
  readonly manager: ManagerProcess;
  readonly processes: Processes;
  /** The hosts' roots go below it. */
  readonly directory: string;
  readonly count: number;
  /** What is installed on them. */
  readonly release: Release;
}

/** How often the manager is asked for news, in milliseconds. */
const POLL_MS = 150;

/** Enrols edges through the manager's API, and sets up a host for each. Nothing is started. */
export async function enrolEdges(options: EnrolOptions): Promise<FleetMember[]> {
  const { api, manager, processes, directory, count, release } = options;
  const members: FleetMember[] = [];
  const digits = String(count).length;
  for (let i = 1; i <= count; i++) {
    const name = `edge-${String(i).padStart(digits, "0")}`;
    const enrolled = await api.enrol(name);
    const host = new EdgeHost({ root: join(directory, name), processes });
    host.install(release.files);
    host.configure({
      ONGRID_EDGE_CLOUD_ADDR: manager.edgeAddress,
      ONGRID_EDGE_ACCESS_KEY: enrolled.access_key_id,
      ONGRID_EDGE_SECRET_KEY: enrolled.secret_key,
    });
    members.push({ id: enrolled.id, name, host });
  }
  return members;
}

/** How {@linkcode waitFor} waits. */
export interface WaitOptions {
  /** What is waited for, for the error. */
  readonly what: string;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Asks again and again until there is an answer.
 *
 * @throws {OngridError} There is none in time. The signal's reason, where it is aborted.
 */
export async function waitFor<T>(
  ask: () => Promise<T | undefined> | T | undefined,
  { what, timeoutMs, signal }: WaitOptions,
): Promise<T> {
  const end = performance.now() + timeoutMs;
  for (;;) {
    signal?.throwIfAborted();
    const answer = await ask();
    if (answer !== undefined) return answer;
    if (performance.now() > end) {
      throw new OngridError(`Waited ${timeoutMs / 1000} s in vain for ${what}`);
    }
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/** Whether all of these edges are connected and run the version. */
export function allRun(edges: readonly EdgeInfo[], version: string): boolean {
  return edges.every((edge) => edge.status === "online" && edge.agent_version === version);
}
