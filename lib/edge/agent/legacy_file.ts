/** The single-file upgrade of agents that know no bundles (`spec/upgrade.md`, mode 3). */

import { removeDurable, renameDurable, writeFileDurable } from "../../fs/durable.ts";
import { STAGE } from "../paths.ts";
import type { StageStore } from "./store.ts";

/**
 * Puts a verified download where the hook finds it: `pending`, and then `pending.sha256`, without
 * which the hook does not touch it.
 *
 * @returns the path of `pending`.
 */
export function storeLegacyFile(store: StageStore, path: string, sha256: string): string {
  removeDurable(store.at(STAGE.legacySha256));
  removeDurable(store.at(STAGE.legacyVersion));
  Deno.chmodSync(path, 0o755);
  renameDurable(path, store.at(STAGE.legacyPending));
  writeFileDurable(store.at(STAGE.legacySha256), `${sha256}\n`, { mode: 0o644 });
  return store.at(STAGE.legacyPending);
}
