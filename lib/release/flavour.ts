/** Which of the two flavours of the build can be had on this machine. */

import { join } from "@std/path";
import { namesOf, type Target } from "./targets.ts";

/**
 * `compiled`: one standalone binary per program. `bundled`: one script per program, started by the
 * Deno runtime that is shipped once beside them.
 */
export type Flavour = "compiled" | "bundled";

/** A decision, and what it rests on. */
export interface FlavourChoice {
  readonly flavour: Flavour;
  /** One clause for people. */
  readonly reason: string;
}

/** What {@linkcode chooseFlavour} looks at. */
export interface FlavourOptions {
  readonly target: Target;
  readonly env: (name: string) => string | undefined;
  /** Whether a file is there. */
  readonly isFile: (path: string) => boolean;
}

/**
 * Compiled where the base binary that `deno compile` needs is on this machine already, else bundled.
 * Nothing is asked of the network: where its host cannot be reached, waiting for it would be all
 * that a build does.
 */
export function chooseFlavour({ target, env, isFile }: FlavourOptions): FlavourChoice {
  const given = env("DENORT_BIN");
  if (given) return { flavour: "compiled", reason: `DENORT_BIN names the base binary ${given}` };
  const cached = baseBinaryPath(target, env);
  if (cached !== undefined && isFile(cached)) {
    return { flavour: "compiled", reason: `the base binary is in Deno's cache (${cached})` };
  }
  return {
    flavour: "bundled",
    reason: "no base binary for deno compile on this machine: DENORT_BIN is not set, and " +
      (cached === undefined ? "there is no Deno cache" : `${cached} is absent`),
  };
}

/** Where `deno compile` keeps the base binary that it once downloaded. */
function baseBinaryPath(
  target: Target,
  env: (name: string) => string | undefined,
): string | undefined {
  const directory = cacheDirectory(env);
  if (directory === undefined) return undefined;
  const name = `denort-${namesOf(target).triple}.zip`;
  return join(directory, "dl", "release", `v${Deno.version.deno}`, name);
}

function cacheDirectory(env: (name: string) => string | undefined): string | undefined {
  const own = env("DENO_DIR");
  if (own) return own;
  const home = env("HOME");
  if (Deno.build.os === "darwin") return home ? join(home, "Library/Caches/deno") : undefined;
  const xdg = env("XDG_CACHE_HOME");
  if (xdg) return join(xdg, "deno");
  return home ? join(home, ".cache/deno") : undefined;
}
