/** The demo's command line. */

import { defineCommand } from "../lib/cli/args.ts";

/** The most edges that one machine is asked to run. */
const MAX_EDGES = 50;

/** What can be typed. */
export const DEMO_COMMAND = defineCommand({
  name: "demo",
  summary: "Upgrade a fleet of real agents on this machine, in a temporary directory",
  options: {
    edges: { type: "integer", default: 5, min: 1, max: MAX_EDGES, help: "How many edges to start" },
    keep: { type: "boolean", help: "Leave the fleet up to play with, until Ctrl-C" },
    json: { type: "boolean", help: "One line of JSON for each event and for the result" },
  },
  notes:
    "Builds two versions of agent, hook and manager, makes real bundles of them, starts the\n" +
    "manager and the edges, upgrades all, breaks one on purpose, repairs it, and downgrades one.\n" +
    "Needs no root and no network, and leaves nothing behind.\n\n" +
    "Exit codes: 0 every edge is where it should be, 1 one is not, 130 or 143 interrupted.",
});
