/** The names that belong to the upgrade: the bundle's own, and the files an upgrade can own. */

/** The manifest's name in a bundle. */
export const MANIFEST_NAME = "MANIFEST.txt";

/** The name of the file with the bundle's version. */
export const VERSION_NAME = "VERSION";

/** The name of the manifest's optional signature. */
export const SIGNATURE_NAME = "MANIFEST.txt.minisig";

/** Names in a bundle's root that describe the bundle and can never be a manifest line's `src`. */
export const RESERVED_NAMES: readonly string[] = [MANIFEST_NAME, VERSION_NAME, SIGNATURE_NAME];

/** The directories that an upgrade may write to on a host. Absolute, without a trailing slash. */
export interface ManagedRoots {
  /** The directory of the agent itself. */
  readonly bin: string;
  /** The directory of plugins, hook, guard and runtime. */
  readonly lib: string;
}

/** The managed roots of an ordinary host; the destinations in a manifest name these. */
export const CANONICAL_ROOTS: ManagedRoots = {
  bin: "/usr/local/bin",
  lib: "/usr/local/lib/ongrid-edge",
};

/** A file that an edge upgrade swaps, and where it lives on an ordinary host. */
export interface OwnedFile {
  readonly name: string;
  readonly role: "agent" | "plugin" | "hook" | "guard" | "runtime";
  /** Canonical destination, below one of {@link CANONICAL_ROOTS}. */
  readonly dest: string;
}

/** The agent's file name. */
export const AGENT_NAME = "ongrid-edge";

function inLib(name: string, role: OwnedFile["role"]): OwnedFile {
  return { name, role, dest: `${CANONICAL_ROOTS.lib}/${name}` };
}

/**
 * Every file that this project's bundles carry (`spec/upgrade.md`, "Bundle invariants"), and so
 * every name that an upgrade may restore where no root-owned record says which it swapped.
 */
export const OWNED_FILES: readonly OwnedFile[] = [
  { name: AGENT_NAME, role: "agent", dest: `${CANONICAL_ROOTS.bin}/${AGENT_NAME}` },
  inLib("promtail", "plugin"),
  inLib("otelcol-contrib", "plugin"),
  inLib("node_exporter", "plugin"),
  inLib("process_exporter", "plugin"),
  inLib("apply-pending-upgrade", "hook"),
  inLib("apply-pending-upgrade.sh", "guard"),
  inLib("ongrid-runtime", "runtime"),
];
