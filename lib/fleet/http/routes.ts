import type { Accounts } from "../accounts.ts";
import type { BundleDirectory } from "../bundles.ts";
import type { Effects, Log } from "../effects.ts";
import type { EdgeRegistry } from "../registry.ts";
import type { RolloutEngine } from "../rollouts.ts";
import type { FleetStore } from "../store.ts";
import type { Upgrades } from "../upgrades.ts";
import { edgeRoutes } from "./edge_routes.ts";
import { openRoutes } from "./open_routes.ts";
import { rolloutRoutes } from "./rollout_routes.ts";
import type { Route } from "./router.ts";
import { upgradeRoutes } from "./upgrade_routes.ts";

/** What the routes work with; each group says what it takes. */
export interface RoutesOptions {
  store: FleetStore;
  accounts: Accounts;
  registry: EdgeRegistry;
  bundles: BundleDirectory;
  upgrades: Upgrades;
  engine: RolloutEngine;
  effects: Effects;
  log: Log;
  bundleDirectory: string;
  verifyMs: number;
  checkHealth: () => Promise<string | undefined>;
  requireReady: () => void;
  dropEdge: (edgeId: bigint) => void;
}

/** The whole route table of a manager. */
export function managerRoutes(options: RoutesOptions): Route[] {
  return [
    ...openRoutes(options),
    ...upgradeRoutes(options),
    ...rolloutRoutes(options),
    ...edgeRoutes(options),
  ];
}
