/** `manager edge` and `manager token`: work on the registry beside a running manager. */

import { OngridError, UsageError } from "../cli/errors.ts";
import type { Output } from "../cli/output.ts";
import { Accounts } from "./accounts.ts";
import type { Effects } from "./effects.ts";
import { enrol } from "./enrolment.ts";
import { edgeView } from "./http/views.ts";
import type { EdgeRecord } from "./records.ts";
import { openSqliteStore } from "./sqlite/open.ts";
import type { FleetStore } from "./store.ts";
import { parseJson, toJson } from "./values.ts";

/** What these commands work with. */
export interface RegistryCommand {
  readonly db: string;
  readonly json: boolean;
  readonly output: Output;
  readonly effects: Effects;
}

/** Edges listed at most. */
const MAX_LISTED = 100_000;

/** `manager edge add NAME` and `manager edge list`; the exit code. */
export async function edgeCommand(
  { action, name, ...command }: RegistryCommand & {
    action: string | undefined;
    name: string | undefined;
  },
): Promise<number> {
  if (action === "add" && name !== undefined) {
    return await withStore(command.db, (store) => addEdge(store, name, command));
  }
  if (action === "list" && name === undefined) {
    return await withStore(command.db, (store) => listEdges(store, command));
  }
  throw new UsageError("Say what to do with the registry", {
    hint: "manager edge add NAME, or: manager edge list [--json]",
  });
}

/** `manager token EMAIL`: prints a new access token; the exit code. */
export async function tokenCommand(
  { db, json, output, effects, email, ttlMs }: RegistryCommand & { email: string; ttlMs: number },
): Promise<number> {
  return await withStore(db, async (store) => {
    const accounts = new Accounts({ users: store.users, effects, tokenTtlMs: ttlMs });
    const { token, expiresIn } = await accounts.issueFor(email);
    output.result(json ? { access_token: token, expires_in: expiresIn } : token);
    return 0;
  });
}

async function addEdge(
  store: FleetStore,
  name: string,
  { json, output, effects }: RegistryCommand,
): Promise<number> {
  const { edge, secret } = await enrol({ edges: store.edges, effects, name });
  if (json) {
    const { id, accessKey: access_key_id } = edge;
    output.result(plainJson({ id, name: edge.name, access_key_id, secret_key: secret }));
    return 0;
  }
  output.info(`edge ${edge.id} (${edge.name}) enrolled; its secret key is shown only now`);
  output.result(
    `# edge ${edge.id}: ${edge.name}\n` +
      `ONGRID_EDGE_ACCESS_KEY=${edge.accessKey}\nONGRID_EDGE_SECRET_KEY=${secret}`,
  );
  return 0;
}

async function listEdges(store: FleetStore, { json, output }: RegistryCommand): Promise<number> {
  const { items } = await store.edges.list({}, { limit: MAX_LISTED, offset: 0 });
  if (json) output.result(items.map((edge) => plainJson(edgeView(edge, undefined))));
  else output.result(table(items));
  return 0;
}

/** A value with its 64-bit ids as the HTTP API writes them. */
function plainJson(value: unknown): unknown {
  return parseJson(toJson(value));
}

function table(edges: EdgeRecord[]): string {
  const head = ["ID", "NAME", "STATUS", "VERSION", "LAST UPGRADE"];
  const rows = edges.map((edge) => [
    String(edge.id),
    edge.name,
    edge.status,
    edge.agentVersion || "-",
    lastUpgrade(edge),
  ]);
  const all = [head, ...rows];
  const widths = head.map((_, column) => Math.max(...all.map((row) => (row[column] ?? "").length)));
  return all
    .map((row) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  ").trimEnd())
    .join("\n");
}

function lastUpgrade({ lastUpgrade: last }: EdgeRecord): string {
  if (last === undefined) return "-";
  return `${last.version} ${last.state}${last.reason === "" ? "" : `: ${last.reason}`}`;
}

/** Opens the registry for one piece of work. It must exist: a typing error shall not make one. */
async function withStore<T>(path: string, work: (store: FleetStore) => Promise<T>): Promise<T> {
  requireFile(path);
  const store = openSqliteStore(path);
  try {
    return await work(store);
  } finally {
    await store.close();
  }
}

function requireFile(path: string): void {
  try {
    Deno.statSync(path);
  } catch (cause) {
    throw new OngridError(`Cannot open the registry ${path}`, {
      cause,
      hint: "Start the manager once, or say where its registry is (--db, ONGRID_DB_PATH).",
    });
  }
}
