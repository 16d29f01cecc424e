/** Routes for enrolling, listing and removing edges. */

import { ApiError, invalid } from "../api_error.ts";
import type { Effects, Log } from "../effects.ts";
import { enrol } from "../enrolment.ts";
import type { EdgeRegistry } from "../registry.ts";
import type { EdgeFilter, FleetStore } from "../store.ts";
import { bodyText, type Call, pageRequest, pathId, readBody } from "./request.ts";
import { json, timestamp } from "./respond.ts";
import type { Route } from "./router.ts";
import { edgeView, pushView } from "./views.ts";

/** The existing manager lists every edge without being asked for pages; so does a list by default. */
const EDGES_PAGE = { size: 1000, max: 10_000 };
const HISTORY_PAGE = { size: 20, max: 100 };

/** What these routes work with. */
export interface EdgeRoutesOptions {
  store: FleetStore;
  effects: Effects;
  log: Log;
  registry: EdgeRegistry;
  /** Lets go of an edge that is no longer enrolled: its connection and its upgrade. */
  dropEdge: (edgeId: bigint) => void;
}

/** The routes for enrolling, listing and removing edges. */
export function edgeRoutes(options: EdgeRoutesOptions): Route[] {
  const edges = "/api/v1/edges";
  const bind = (handler: Handler) => (call: Call) => handler(options, call);
  return [
    { method: "POST", pattern: edges, access: "write", handle: bind(create) },
    { method: "GET", pattern: edges, access: "read", handle: bind(list) },
    { method: "GET", pattern: `${edges}/:id`, access: "read", handle: bind(get) },
    { method: "DELETE", pattern: `${edges}/:id`, access: "delete", handle: bind(remove) },
    { method: "GET", pattern: `${edges}/:id/upgrades`, access: "read", handle: bind(history) },
  ];
}

type Handler = (options: EdgeRoutesOptions, call: Call) => Promise<Response>;

async function create(
  { store, effects, log }: EdgeRoutesOptions,
  { request, user }: Call,
): Promise<Response> {
  const name = bodyText(await readBody(request), "name");
  const { edge, secret } = await enrol({ edges: store.edges, effects, name });
  log.info(`edge ${edge.id} (${edge.name}) enrolled by ${user?.email ?? "nobody"}`);
  return json({
    id: edge.id,
    name: edge.name,
    access_key_id: edge.accessKey,
    secret_key: secret,
    created_at: timestamp(edge.createdAt),
  }, 201);
}

async function list({ store, registry }: EdgeRoutesOptions, { url }: Call): Promise<Response> {
  const { page, pageSize, ...slice } = pageRequest(url, EDGES_PAGE);
  const { items, total } = await store.edges.list(edgeFilter(url), slice);
  const views = items.map((edge) => edgeView(edge, registry.staging(edge.id)));
  return json({ items: views, total, page, page_size: pageSize });
}

async function get({ store, registry }: EdgeRoutesOptions, call: Call): Promise<Response> {
  const id = pathId(call);
  const edge = await store.edges.get(id);
  if (edge === undefined) throw notFound(id);
  return json(edgeView(edge, registry.staging(id)));
}

async function remove({ store, log, dropEdge }: EdgeRoutesOptions, call: Call): Promise<Response> {
  const id = pathId(call);
  if (!await store.edges.remove(id)) throw notFound(id);
  dropEdge(id);
  log.info(`edge ${id} removed by ${call.user?.email ?? "nobody"}`);
  return new Response(null, { status: 204 });
}

async function history({ store }: EdgeRoutesOptions, call: Call): Promise<Response> {
  const id = pathId(call);
  if (await store.edges.get(id) === undefined) throw notFound(id);
  const { page, pageSize, ...slice } = pageRequest(call.url, HISTORY_PAGE);
  const { items, total } = await store.pushes.ofEdge(id, slice);
  return json({ items: items.map(pushView), total, page, page_size: pageSize });
}

function edgeFilter({ searchParams }: URL): EdgeFilter {
  const text = searchParams.get("q") ?? searchParams.get("name") ?? "";
  const status = searchParams.get("status") || undefined;
  if (status === undefined || status === "online" || status === "offline") return { text, status };
  throw invalid("status must be online or offline");
}

function notFound(id: bigint): ApiError {
  return new ApiError("not-found", `edge ${id}: not found`);
}
