/** The command line of `manager`. */

import { defineCommand } from "../cli/args.ts";
import { DEFAULT_PUSH_SETTINGS } from "./push_state.ts";

const DAY_MS = 24 * 60 * 60 * 1000;

/** What can be typed. */
export const MANAGER_COMMAND = defineCommand({
  name: "manager",
  summary: "The manager of a fleet of edges: registry, upgrades, HTTP API",
  options: {
    db: {
      type: "string",
      env: "ONGRID_DB_PATH",
      placeholder: "FILE",
      default: "/var/lib/ongrid/manager.db",
      help: "The registry, an SQLite file; made when it is not there",
    },
    json: { type: "boolean", help: "One line of JSON for each event and result" },
  },
  defaultCommand: "run",
  commands: {
    run: {
      name: "run",
      summary: "Run the service",
      options: {
        "http-addr": {
          type: "string",
          env: "ONGRID_HTTP_ADDR",
          placeholder: "ADDR",
          default: ":8080",
          help: "Where to serve HTTP; :8080 means on all addresses",
        },
        "edgebound-addr": {
          type: "string",
          env: "ONGRID_EDGEBOUND_ADDR",
          placeholder: "ADDR",
          default: ":40012",
          help: "Where edges connect to",
        },
        "edgebound-tls-cert": {
          type: "string",
          env: "ONGRID_EDGEBOUND_TLS_CERT_FILE",
          placeholder: "FILE",
          help: "Certificate chain (PEM) for edges that connect with TLS; without it, plain TCP",
        },
        "edgebound-tls-key": {
          type: "string",
          env: "ONGRID_EDGEBOUND_TLS_KEY_FILE",
          placeholder: "FILE",
          help: "The key of that certificate (PEM)",
        },
        "public-url": {
          type: "string",
          env: "ONGRID_PUBLIC_URL",
          placeholder: "URL",
          help: "The URL under which edges reach this manager, to download from <URL>/edge/",
        },
        "bundle-dir": {
          type: "string",
          env: "ONGRID_EDGE_BUNDLE_DIR",
          placeholder: "DIR",
          default: "/usr/share/ongrid/edge-bundles",
          help: "The directory with the edge bundles and their .sha256 files",
        },
        "token-ttl": {
          type: "duration",
          env: "ONGRID_JWT_ACCESS_TTL",
          default: DAY_MS,
          help: "How long a login is good for",
        },
        "upgrade-deadline": {
          type: "duration",
          env: "ONGRID_UPGRADE_DEADLINE",
          default: DEFAULT_PUSH_SETTINGS.verifyMs,
          help: "How long an edge may take to come back after it was told to restart",
        },
      },
      environment: {
        ONGRID_ADMIN_EMAIL: "the first administrator (default admin@localhost)",
        ONGRID_ADMIN_PASSWORD: "their password; made up and printed once when absent",
      },
    },
    edge: {
      name: "edge",
      summary: "Enrol an edge (add NAME), or list them (list)",
      positionals: [
        { name: "action", help: "add or list" },
        { name: "name", help: "The name of the new edge", optional: true },
      ],
      notes: "The secret key of a new edge is printed once and cannot be shown again.",
    },
    token: {
      name: "token",
      summary: "Print a new access token of an account, for scripts on this host",
      options: {
        ttl: { type: "duration", default: DAY_MS, help: "How long it is good for" },
      },
      positionals: [{ name: "email", help: "Whose token" }],
    },
  },
});
