/** Agents that behave in one known way; they are what a test is about only in that. */

/** What every program of an edge answers. */
function script(version: string, run: string): string {
  return `#!/bin/sh\ncase \${1:-} in --version | version) echo ${version}; exit ;; esac\n${run}\n`;
}

/** Reports itself healthy at once, without a manager, and stays. */
export function healthyAgent(version: string): string {
  return script(
    version,
    "cd /var/lib/ongrid-edge/.upgrade || exit 1\n" +
      `echo ${version} >.marker && mv -f .marker healthy_marker\nexec sleep infinity`,
  );
}

/** Stays, and never reports anything. */
export function silentAgent(version: string): string {
  return script(version, "exec sleep infinity");
}

/** Ends at once with an error. */
export function crashingAgent(version: string): string {
  return script(version, "echo 'cannot read my configuration' >&2\nexit 3");
}

/** What {@linkcode probingAgent} leaves where it can write. */
export const PROBE_NAME = "by-the-probe";

/** Says in which of these directories a file can be made, one a line. */
function probe(directories: readonly string[]): string {
  return `for directory in ${directories.join(" ")}; do
  if (: >"$directory/${PROBE_NAME}") 2>/dev/null; then echo "$directory"; fi
done`;
}

/**
 * Writes down its user, its capabilities, whether it can gain privileges, and in which of these
 * directories it can make a file.
 */
export function probingAgent(version: string, directories: readonly string[]): string {
  return script(
    version,
    `state=/var/lib/ongrid-edge/.upgrade
{
id -un
grep CapBnd /proc/self/status
grep NoNewPrivs /proc/self/status
${probe(directories)}
} >$state/.probed && mv -f $state/.probed $state/probed
exec sleep infinity`,
  );
}

/** A hook that writes down its user, and in which of these directories it can make a file. */
export function probingHook(directories: readonly string[]): string {
  return `#!/bin/sh\n{\nid -un\n${probe(directories)}\n} >/var/lib/ongrid-edge-upgrade/probed\n`;
}
