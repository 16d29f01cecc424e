/** The ways in which a start of the service runs the hook, each with room for strace. */

import { join } from "@std/path";
import { GUARD } from "./built_hook.ts";
import type { EdgeHost } from "./edge_host.ts";
import { type Invocation, wrapped } from "./process.ts";
import type { Scratch } from "./scratch.ts";

/** How the hook is started. */
export interface Starter {
  /** Puts on the host what has to be there before the first start. */
  prepare(host: EdgeHost): void;
  /** One start; with strace's options, the hook's first run is under strace. */
  start(host: EdgeHost, strace?: readonly string[]): Invocation;
  /** What it leaves below the host's directory beside what the hook does. */
  readonly except: readonly string[];
}

/** The hook by itself. */
export function byItself(hook: string): Starter {
  return {
    prepare: () => {},
    start: (host, strace) => {
      const plain = host.start(hook);
      return strace ? wrapped("strace", strace, plain) : plain;
    },
    except: [],
  };
}

/** The hook on file systems of its own for each directory, so that nothing can be renamed across. */
export function onManyDisks(hook: string, scratch: Scratch): Starter {
  return {
    ...byItself(hook),
    prepare: (host) => {
      for (const directory of [host.bin, host.lib, host.rootState]) {
        scratch.mount(directory, "size=4m,mode=755");
      }
      host.clear();
    },
  };
}

/** The hook where no file can have a second name. */
export function withoutLinks(hook: string): Starter {
  // Only what is traced can fail.
  const alsoLinks = (option: string) => option.replace(/^trace=/, "trace=?link,linkat,");
  return {
    ...byItself(hook),
    start: (host, strace = ["-qq", "-o", "/dev/null", "-e", "trace=?linkat"]) => {
      const options = [...strace.map(alsoLinks), "-e", "inject=?link,linkat:error=EPERM"];
      return wrapped("strace", options, host.start(hook));
    },
  };
}

/**
 * Stands where the guard looks for the hook, and starts the real one. The guard runs a hook that
 * fails once more; only the first run must be the one that is killed.
 */
const STAND_IN = `#!/bin/sh
set -f
if [ -n "$TEST_STRACE" ] && mkdir "$TEST_ONCE" 2>/dev/null; then
  strace $TEST_STRACE "$TEST_HOOK" "$@"
  code=$?
  [ $code -eq 0 ] || [ -z "$TEST_KILL_GROUP" ] || kill -KILL 0
  exit $code
fi
exec "$TEST_HOOK" "$@"
`;

/**
 * The hook as the guard runs it.
 *
 * @param killed `hook`: the guard lives on; `group`: whatever ends the hook ends the guard as well.
 */
export function byGuard(hook: string, killed: "hook" | "group"): Starter {
  return {
    prepare: (host) => host.write("lib/apply-pending-upgrade", STAND_IN, 0o755),
    start: (host, strace) => {
      const once = `${host.root}.once`;
      if (exists(once)) Deno.removeSync(once);
      const env = {
        ...host.env,
        TEST_HOOK: hook,
        TEST_ONCE: once,
        TEST_STRACE: strace?.join(" ") ?? "",
        TEST_KILL_GROUP: killed === "group" ? "yes" : "",
      };
      if (killed === "hook") return { command: "sh", args: [GUARD], env };
      // A group of its own: the one that is killed must not be the tests'.
      return { command: "setsid", args: ["sh", GUARD], env };
    },
    except: [join("root-state", "deno")],
  };
}

function exists(path: string): boolean {
  try {
    return Deno.lstatSync(path) !== undefined;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
