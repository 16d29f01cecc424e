/**
 * The first two lines of a program in the bundled flavour: `/bin/sh` reads them as the script that
 * starts the Deno runtime shipped with the program, JavaScript as a comment and a string.
 */

import { permissionFlags, type Permissions } from "./programs.ts";

/** The Deno runtime's file name, beside the programs and on a host. */
export const RUNTIME_NAME = "ongrid-runtime";

/**
 * Everything the runtime could take from elsewhere is switched off: no configuration, lock file,
 * package or cache of the directory somebody happens to be in.
 */
const RUNTIME_FLAGS = [
  "--ext=js",
  "--no-config",
  "--no-lock",
  "--no-remote",
  "--no-npm",
  "--cached-only",
  "--no-code-cache",
];

/**
 * Settings of the runtime itself that a caller's environment must not reach the program with:
 * another permission broker, audit files, V8 flags, telemetry that opens connections, …. By prefix,
 * since every release of the runtime has new ones.
 */
const RUNTIME_SETTINGS = ["DENO_", "NODE_", "OTEL_", "NPM_CONFIG_", "npm_config_"];

/**
 * The two lines, each ended by a newline.
 *
 * The runtime is looked for beside the program (links to it resolved), then in
 * `$ONGRID_EDGE_UPGRADE_LIB_DIR`, then in `../lib/ongrid-edge` from there, where an installed agent
 * has it. Where it is missing, the program says so and exits with 127, as a shell does.
 *
 * `DENO_DIR` is kept where it is set, as the hook's guard sets it. Elsewhere there is none at all:
 * nothing is written, and nobody can have prepared anything.
 */
export function launcher(permissions: Permissions): string {
  const flags = [...RUNTIME_FLAGS, ...permissionFlags(permissions)].join(" ");
  // After the comment sign JavaScript reads nothing more of the line, so the script is one line.
  return `#!/bin/sh\n':' //; ${script(flags)}\n`;
}

function script(flags: string): string {
  return [
    // A name without a slash, as in `sh ongrid-edge`, would be looked for on the PATH by others.
    `self=$0`,
    `case $self in /*) ;; *) self=./$self;; esac`,
    `if [ -L "$self" ]; then self=$(readlink -f "$self"); fi`,
    `dir=\${self%/*}`,
    `lib=\${ONGRID_EDGE_UPGRADE_LIB_DIR:-$dir/../lib/ongrid-edge}`,
    `runtime=`,
    `for place in "$dir" "$lib" "$dir/../lib/ongrid-edge"; do ` +
    `if [ -f "$place/${RUNTIME_NAME}" ] && [ -x "$place/${RUNTIME_NAME}" ]; then ` +
    `runtime=$place/${RUNTIME_NAME}; break; fi; done`,
    `if [ -z "$runtime" ]; then ` +
    `echo "error: cannot start $0: no ${RUNTIME_NAME} in $dir or $lib" >&2; ` +
    `echo "hint: ${RUNTIME_NAME} is part of the release: install it beside the program" >&2; ` +
    `exit 127; fi`,
    `for name in $(env | sed -n ${sedPrograms()}); do unset "$name"; done`,
    `export DENO_DIR="\${DENO_DIR:-/dev/null}" DENO_NO_UPDATE_CHECK=1`,
    `exec "$runtime" run ${flags} "$self" "$@"`,
  ].join("; ");
}

/** Lines of `env` that begin a runtime's setting, by their name; DENO_DIR is no setting but a place. */
function sedPrograms(): string {
  const names = RUNTIME_SETTINGS.map((prefix) => `-e "s/^\\(${prefix}[A-Za-z0-9_]*\\)=.*/\\1/p"`);
  return ["-e /^DENO_DIR=/d", ...names].join(" ");
}
