import { dirname, join } from "@std/path";
import { AGENT_NAME, CANONICAL_ROOTS, type ManagedRoots, OWNED_FILES } from "../bundle/owned.ts";
import { targetOf } from "../bundle/paths.ts";

/** Where an edge host keeps what an upgrade touches. All paths are absolute. */
export interface EdgePaths {
  /** The agent's state directory; owned by the unprivileged agent user. */
  readonly stage: string;
  /** Root's own state directory; only root writes it, everybody may read it. */
  readonly rootState: string;
  /** The directories that an upgrade may write to. */
  readonly roots: ManagedRoots;
  /** What a single-file upgrade of an older agent replaces. */
  readonly legacyTarget: string;
  /** The public key that bundles must be signed with; where it is absent, none is asked for. */
  readonly publicKey: string;
}

const DEFAULT_STAGE = "/var/lib/ongrid-edge/.upgrade";
const DEFAULT_PUBLIC_KEY = "/etc/ongrid-edge/upgrade.pub";
const DEFAULT_ROOT_STATE = "/var/lib/ongrid-edge-upgrade";

/** File names in the agent's state directory, the same for every hook and agent there is. */
export const STAGE = {
  partial: "incoming.partial",
  download: "download",
  staged: "staged",
  incoming: "incoming",
  ready: "ready",
  lastUpgradeAt: "last_upgrade_at",
  lastUpgradeVersion: "last_upgrade_ver",
  healthyMarker: "healthy_marker",
  verdict: "verdict",
  newTargets: "last_upgrade_new_targets",
  legacyPending: "pending",
  legacySha256: "pending.sha256",
  legacyVersion: "pending.version",
  legacyPrevious: "previous",
} as const;

/** File names in root's own state directory. */
export const ROOT_STATE = {
  journal: "journal.json",
  rescuedJournal: "journal.rescued",
  applied: "applied.json",
  rollback: "rollback.json",
  settled: "settled.json",
  attempts: "attempts",
  rescue: "rescue",
  guardStarts: "guard_starts",
  lastExit: "last_exit",
  lock: "lock",
  claimed: "claimed",
  claimedPartial: "claimed.partial",
} as const;

/**
 * Resolves the directories of this host. The four `ONGRID_EDGE_UPGRADE_…_DIR|TARGET` overrides are
 * the shell hook's; `ONGRID_EDGE_UPGRADE_PUBLIC_KEY` and `ONGRID_EDGE_UPGRADE_ROOT_STATE_DIR` are
 * ours, the latter defaults to `<stage>-root`
 * where the state directory is overridden, so that a test root never reaches the real one.
 *
 * @param env reads one environment variable; an empty value counts as unset.
 */
export function edgePaths(env: (name: string) => string | undefined): EdgePaths {
  const override = (name: string) => env(`ONGRID_EDGE_UPGRADE_${name}`) || undefined;
  const stage = override("STAGE_DIR") ?? DEFAULT_STAGE;
  const roots = {
    bin: override("BIN_DIR") ?? CANONICAL_ROOTS.bin,
    lib: override("LIB_DIR") ?? CANONICAL_ROOTS.lib,
  };
  return {
    stage,
    rootState: override("ROOT_STATE_DIR") ??
      (stage === DEFAULT_STAGE ? DEFAULT_ROOT_STATE : `${stage}-root`),
    roots,
    publicKey: override("PUBLIC_KEY") ?? DEFAULT_PUBLIC_KEY,
    legacyTarget: override("LEGACY_TARGET") ?? join(roots.bin, AGENT_NAME),
  };
}

/**
 * The destinations that an upgrade of an ongrid edge may own, with the part each plays. Where no
 * record of root's says what was swapped, nothing else is touched.
 */
export function ownedTargets(roots: ManagedRoots): { target: string; isPlugin: boolean }[] {
  return OWNED_FILES.map(({ dest, role }) => ({
    target: targetOf(dest, roots) ?? dest,
    isPlugin: role === "plugin",
  }));
}

/** Sorts so that the agent comes last: while it is the old one, the upgrade has not happened. */
export function agentLast(paths: EdgePaths): (a: { dest: string }, b: { dest: string }) => number {
  const rank = ({ dest }: { dest: string }) =>
    dest === join(paths.roots.bin, AGENT_NAME) || dest === paths.legacyTarget ? 1 : 0;
  return (a, b) => rank(a) - rank(b);
}

/** Every directory that holds one of the targets, each once, the agent's last. */
export function targetDirectories(paths: EdgePaths, targets: readonly string[]): string[] {
  const agentDirectory = dirname(paths.legacyTarget);
  const all = new Set(targets.map((target) => dirname(target)));
  const others = [...all].filter((directory) => directory !== agentDirectory);
  return all.has(agentDirectory) ? [...others, agentDirectory] : others;
}
