/** The one table of programs; both flavours of the build are made from it. */

import { join } from "@std/path";

/** What a program may do, in Deno's words; what is not allowed is refused without asking. */
export interface Permissions {
  /** `--allow-…`: `"net"`, or `"sys=uid,statfs"` for a part. */
  readonly allow: readonly string[];
  /** `--deny-…`: said aloud where a program must never get it. */
  readonly deny?: readonly string[];
}

/** A program of the build. */
export interface ProgramSpec {
  /** Its file name in the build, and on a host. */
  readonly name: string;
  /** The module it starts with, relative to the root of the repository. */
  readonly entry: string;
  readonly permissions: Permissions;
}

/**
 * Every program there is or will be.
 *
 * The hook runs as root on what an unprivileged account left for it: it has no network, starts no
 * process and loads no library, whatever its code says. The agent starts the probes that a bundle
 * declares; `upgrade` and `package` start docker, git and the like.
 */
const PROGRAMS: readonly ProgramSpec[] = [
  {
    name: "apply-pending-upgrade",
    entry: "apply-pending-upgrade.ts",
    permissions: {
      allow: ["read", "write", "env", "sys=uid,statfs"],
      deny: ["net", "run", "ffi", "import"],
    },
  },
  {
    name: "ongrid-edge",
    entry: "edge-agent.ts",
    permissions: { allow: ["read", "write", "env", "net", "sys", "run"] },
  },
  {
    name: "manager",
    entry: "manager.ts",
    permissions: { allow: ["read", "write", "env", "net", "sys"] },
  },
  {
    name: "upgrade",
    entry: "upgrade.ts",
    permissions: { allow: ["read", "write", "env", "net", "sys", "run"] },
  },
  {
    name: "package",
    entry: "package.ts",
    permissions: { allow: ["read", "write", "env", "net", "sys", "run"] },
  },
];

/** The programs of the table whose entry module is in this checkout. */
export function programsIn(root: string): ProgramSpec[] {
  return PROGRAMS.filter(({ entry }) => isFile(join(root, entry)));
}

/** The flags for `deno run` and `deno compile` that give a program its permissions. */
export function permissionFlags({ allow, deny = [] }: Permissions): string[] {
  return [
    ...allow.map((each) => `--allow-${each}`),
    ...deny.map((each) => `--deny-${each}`),
    "--no-prompt",
  ];
}

function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch (e) {
    if (e instanceof Deno.errors.NotFound) return false;
    throw e;
  }
}
