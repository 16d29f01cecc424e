/** What the agent does to the world outside its directory, so that a test can stand in for it. */

import { connectEdge } from "../../tunnel/edge_client.ts";
import { freeBytes } from "../../fs/space.ts";

/** Time, chance and the tunnel. */
export interface AgentEffects {
  /** The wall clock. */
  now(): Date;
  /** Waits; returns early, without an error, when the signal is aborted. */
  sleep(milliseconds: number, signal?: AbortSignal): Promise<void>;
  /** A number from 0 up to, not including, 1. */
  random(): number;
  /** Opens the tunnel to the manager. */
  connect: typeof connectEdge;
  /** Free space for an ordinary user below a directory, in bytes. */
  freeBytes(path: string): number;
}

/** The real ones. */
export function systemEffects(): AgentEffects {
  return {
    now: () => new Date(),
    sleep,
    random: () => Math.random(),
    connect: connectEdge,
    freeBytes: (path) => Number(freeBytes(path)),
  };
}

function sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const end = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, milliseconds);
    signal?.addEventListener("abort", end, { once: true });
  });
}
