/** Routes for rollouts: one order for many edges. */

import { ApiError, invalid } from "../api_error.ts";
import type { RolloutRecord } from "../records.ts";
import { ALREADY_CURRENT, type RolloutEngine } from "../rollouts.ts";
import type { FleetStore } from "../store.ts";
import type { JsonObject } from "../values.ts";
import {
  bodyFlag,
  bodyIds,
  bodyInteger,
  bodyText,
  type Call,
  pageRequest,
  pathId,
  readBody,
} from "./request.ts";
import { json } from "./respond.ts";
import type { Route } from "./router.ts";
import { pushView, rolloutView } from "./views.ts";

/** Edges that may be named one by one; a larger part of a fleet is "all". */
const MAX_EDGES = 10_000;

const CONCURRENCY = { min: 1, max: 1000, fallback: 32 };
const MAX_DEADLINE_S = 24 * 60 * 60;
const ROLLOUTS_PAGE = { size: 20, max: 100 };
const PUSHES_PAGE = { size: 1000, max: 10_000 };

/** What these routes work with. */
export interface RolloutRoutesOptions {
  store: FleetStore;
  engine: RolloutEngine;
  /** How long an edge may take to come back when the order does not say, ms. */
  verifyMs: number;
  /** Throws when no edge could download anything from this manager. */
  requireReady: () => void;
}

/** The routes for rollouts. */
export function rolloutRoutes(options: RolloutRoutesOptions): Route[] {
  const rollouts = "/api/v1/rollouts";
  const bind = (handler: Handler) => (call: Call) => handler(options, call);
  return [
    { method: "POST", pattern: rollouts, access: "write", handle: bind(create) },
    { method: "GET", pattern: rollouts, access: "read", handle: bind(list) },
    { method: "GET", pattern: `${rollouts}/:id`, access: "read", handle: bind(get) },
  ];
}

type Handler = (options: RolloutRoutesOptions, call: Call) => Promise<Response>;

async function create(
  { store, engine, verifyMs, requireReady }: RolloutRoutesOptions,
  { request, user }: Call,
): Promise<Response> {
  const body = await readBody(request);
  requireReady();
  const deadline = { min: 1, max: MAX_DEADLINE_S, fallback: Math.ceil(verifyMs / 1000) };
  const rollout = await engine.create({
    version: bodyText(body, "version"),
    edges: chosenEdges(body),
    force: bodyFlag(body, "force"),
    concurrency: bodyInteger(body, "concurrency", CONCURRENCY),
    verifyMs: body.deadline_s === undefined
      ? verifyMs
      : bodyInteger(body, "deadline_s", deadline) * 1000,
    createdBy: user?.email ?? "",
  });
  return json(await countedView(store, rollout), 202);
}

async function list({ store }: RolloutRoutesOptions, { url }: Call): Promise<Response> {
  const { page, pageSize, ...slice } = pageRequest(url, ROLLOUTS_PAGE);
  const { items, total } = await store.pushes.listRollouts(slice);
  const views = await Promise.all(items.map((rollout) => countedView(store, rollout)));
  return json({ items: views, total, page, page_size: pageSize });
}

async function get({ store }: RolloutRoutesOptions, call: Call): Promise<Response> {
  const id = pathId(call);
  const rollout = await store.pushes.getRollout(id);
  if (rollout === undefined) throw new ApiError("not-found", `rollout ${id}: not found`);
  const { page, pageSize, ...slice } = pageRequest(call.url, PUSHES_PAGE);
  const { items } = await store.pushes.ofRollout(id, slice);
  const view = await countedView(store, rollout);
  return json({ ...view, edges: items.map(pushView), page, page_size: pageSize });
}

async function countedView(store: FleetStore, rollout: RolloutRecord): Promise<JsonObject> {
  const [phases, current] = await Promise.all([
    store.pushes.countPhases(rollout.id),
    store.pushes.countCode(rollout.id, ALREADY_CURRENT),
  ]);
  return rolloutView(rollout, { phases, current });
}

/** Which edges: "all" must be said in so many words, an empty order must not upgrade a fleet. */
function chosenEdges(body: JsonObject): "all" | bigint[] {
  if (body.edges === "all") return "all";
  if (body.edges === undefined) throw invalid('edges is required: "all" or a list of ids');
  return bodyIds(body, "edges", MAX_EDGES);
}
