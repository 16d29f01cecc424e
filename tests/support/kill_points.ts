import { nodeFs } from "../../lib/fs/node_fs.ts";

/** Thrown at the kill point and at every later call: a killed process changes nothing any more. */
export class Killed extends Error {
  override readonly name = "Killed";
}

const DENO_CALLS = [
  "renameSync",
  "linkSync",
  "removeSync",
  "mkdirSync",
  "chmodSync",
  "chownSync",
] as const;
const NODE_CALLS = ["openSync", "writeSync", "fsyncSync", "fchmodSync", "fchownSync"] as const;

/** What happens at a kill point. */
export type Fault = (call: string) => Error;

/**
 * Runs `act` and counts the calls that change the file system.
 *
 * @param at the call at which to stop, from 1 on; from there on every such call throws, so that no
 * clean-up code can do what a killed process could not. Infinity only counts.
 * @param once true: only this one call fails, as a disk error does, and the program goes on.
 * @returns how many calls were begun.
 */
export function withKillPoint(
  at: number,
  act: () => void,
  { once = false, fault = (call) => new Killed(`killed at ${call}`) }: {
    once?: boolean;
    fault?: Fault;
  } = {},
): number {
  let calls = 0;
  const restore: (() => void)[] = [];
  const patch = <T extends object, K extends keyof T>(target: T, name: K, writes = true) => {
    const original = target[name];
    if (typeof original !== "function") throw new TypeError(`${String(name)} is no function`);
    target[name] = ((...args: unknown[]) => {
      if (writes && isWrite(name, args)) {
        calls += 1;
        if (calls === at || (calls > at && !once)) throw fault(String(name));
      }
      return original.apply(target, args);
    }) as T[K];
    restore.push(() => target[name] = original);
  };
  for (const name of DENO_CALLS) patch(Deno, name);
  for (const name of NODE_CALLS) patch(nodeFs(), name);
  try {
    act();
  } finally {
    for (const undo of restore) undo();
  }
  return calls;
}

/** Opening for reading changes nothing. */
function isWrite(name: PropertyKey, [, flags]: unknown[]): boolean {
  if (name !== "openSync") return true;
  return typeof flags === "number" && (flags & nodeFs().constants.O_CREAT) !== 0;
}
