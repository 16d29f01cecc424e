/** The command line of `ongrid-edge`. */

import { defineCommand } from "../../cli/args.ts";

/** What can be typed. */
export const EDGE_AGENT_COMMAND = defineCommand({
  name: "ongrid-edge",
  summary: "The agent of an edge: keeps the tunnel to its manager and stages upgrades",
  defaultCommand: "run",
  commands: {
    run: {
      name: "run",
      summary: "Run the service; what the unit starts",
      environment: {
        ONGRID_EDGE_CLOUD_ADDR: "host:port of the manager's tunnel",
        ONGRID_EDGE_ACCESS_KEY: "the access key of this edge",
        ONGRID_EDGE_SECRET_KEY: "its secret key",
        ONGRID_EDGE_TLS_CA_FILE: "PEM of the authority that signs the manager's certificates",
        ONGRID_EDGE_UPGRADE_PROBATION:
          "time in which a manager must accept a fresh upgrade (default 10m, 0 = for ever)",
        ONGRID_EDGE_UPGRADE_APPLY_GRACE:
          "time that a fetched bundle waits to be applied (default 5s)",
      },
      notes: "Exit codes: 0 to be upgraded or stopped, 2 wrong configuration, 75 a fresh upgrade " +
        "that\nno manager accepted (the next start rolls it back).",
    },
    stage: {
      name: "stage",
      summary: "Stage a bundle by hand; the next start of the service applies it",
      options: {
        sha256: {
          type: "string",
          placeholder: "HEX",
          help: "The bundle's sha256; without it, <source>.sha256 is read",
        },
      },
      positionals: [
        { name: "source", help: "A file, an http(s) URL, or - for standard input" },
      ],
      notes: "As root it opens the file, and goes on as the owner of the state directory.",
    },
    status: {
      name: "status",
      summary: "Show what is staged, what waits for its verdict, and how the last upgrade ended",
      options: { json: { type: "boolean", help: "One line of JSON" } },
    },
    version: { name: "version", summary: "Print the version" },
  },
});
