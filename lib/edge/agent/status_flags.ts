/** What a heartbeat tells of an upgrade on its way: a map of texts, as existing managers decode. */

import type { Stager } from "./stager.ts";

/**
 * `upgrade_phase` (`downloading`, `verifying`, `staged`, `ready`), `upgrade_version` and
 * `upgrade_percent`, each as far as it is known; undefined where nothing is staged.
 */
export function statusFlags(stager: Stager): Record<string, string> | undefined {
  const { progress } = stager;
  if (progress !== undefined) {
    return {
      upgrade_phase: progress.phase,
      ...(progress.version === undefined ? {} : { upgrade_version: progress.version }),
      ...(progress.percent === undefined ? {} : { upgrade_percent: String(progress.percent) }),
    };
  }
  const staged = stager.store.staged();
  if (staged) return { upgrade_phase: "staged", upgrade_version: staged.version };
  const ready = stager.store.ready();
  return ready && { upgrade_phase: "ready", upgrade_version: ready.version };
}
