/** Routes that push bundles: one edge, a batch, and what there is to push. */

import { EDGE_ARCHES } from "../../bundle/sidecar.ts";
import { ApiError } from "../api_error.ts";
import type { BundleDirectory, CatalogEntry } from "../bundles.ts";
import { callFailure } from "../edge_call.ts";
import type { Told } from "../push_driver.ts";
import type { UpgradeRequest, UpgradeResult, Upgrades } from "../upgrades.ts";
import { countField, type JsonObject, textField } from "../values.ts";
import { bodyFlag, bodyIds, bodyText, type Call, pathId, readBody } from "./request.ts";
import { json } from "./respond.ts";
import type { Route } from "./router.ts";

/** Edges of one batch, and how many of them are told at a time; as in the existing manager. */
const MAX_BATCH = 500;
const BATCH_CONCURRENCY = 8;

const MAX_PATH_CHARS = 4096;

/** What these routes work with. */
export interface UpgradeRoutesOptions {
  upgrades: Upgrades;
  bundles: BundleDirectory;
  /** Throws when no edge could download anything from this manager. */
  requireReady: () => void;
}

/** The routes that push bundles. */
export function upgradeRoutes(options: UpgradeRoutesOptions): Route[] {
  const batch = "/api/v1/edges/batch/upgrade-package";
  const one = "/api/v1/edges/:id/upgrade-package";
  const bind = (handler: Handler) => (call: Call) => handler(options, call);
  return [
    // Before the route with an id: "batch" is none.
    { method: "POST", pattern: batch, access: "write", handle: bind(pushBatch) },
    { method: "POST", pattern: one, access: "write", handle: bind(pushOne) },
    { method: "GET", pattern: "/api/v1/edge-bundles", access: "read", handle: bind(catalog) },
  ];
}

type Handler = (options: UpgradeRoutesOptions, call: Call) => Promise<Response>;

async function pushOne(
  { upgrades, requireReady }: UpgradeRoutesOptions,
  call: Call,
): Promise<Response> {
  const id = pathId(call);
  requireReady();
  const request = upgradeRequest(await readBody(call.request), call);
  const { status, body } = pushAnswer(id, await upgrades.pushOne(id, request));
  return json(body, status);
}

async function pushBatch(
  { upgrades, requireReady }: UpgradeRoutesOptions,
  call: Call,
): Promise<Response> {
  const body = await readBody(call.request);
  const ids = bodyIds(body, "ids", MAX_BATCH);
  const request = upgradeRequest(body, call);
  requireReady();
  const results: JsonObject[] = [];
  const queue = ids.entries();
  const work = async () => {
    // The iterator is shared: each entry is handed out once.
    for (const [index, id] of queue) results[index] = await batchItem(upgrades, id, request);
  };
  await Promise.all(Array.from({ length: BATCH_CONCURRENCY }, work));
  const succeeded = results.filter((result) => result.ok === true).length;
  const failed = results.length - succeeded;
  return json({ total: results.length, succeeded, failed, results });
}

async function catalog({ bundles }: UpgradeRoutesOptions): Promise<Response> {
  const entries = await bundles.list();
  const version = bundles.managerVersion;
  const items = EDGE_ARCHES.map((arch) => {
    const entry = entries.find((known) => known.arch === arch && known.version === version);
    return entry === undefined
      ? { arch, version, available: false, error: "bundle file is missing" }
      : bundleView(entry);
  });
  return json({ manager_version: version, items, bundles: entries.map(bundleView) });
}

function upgradeRequest(body: JsonObject, call: Call): UpgradeRequest {
  return {
    arch: bodyText(body, "arch"),
    version: bodyText(body, "version"),
    force: bodyFlag(body, "force"),
    createdBy: call.user?.email ?? "",
  };
}

/** The answer to a push of one edge, with the status codes and texts that scripts know. */
function pushAnswer(id: bigint, result: UpgradeResult): { status: number; body: JsonObject } {
  if (result.kind === "current") {
    const { version } = result;
    const message = `edge ${id} already runs ${version}; nothing to do`;
    return { status: 200, body: { version, applied: false, already_current: true, message } };
  }
  const { record } = result.told;
  const applyError = applyFailure(result.told);
  if (record.applySentAt === undefined && record.phase !== "healthy") throw notTold(result.told);
  const body = {
    version: record.targetVersion,
    ...fetchedFields(result.told),
    applied: applyError === undefined,
    apply_error: applyError,
    push_id: record.id,
  };
  return { status: applyError === undefined ? 200 : 202, body };
}

async function batchItem(
  upgrades: Upgrades,
  id: bigint,
  request: UpgradeRequest,
): Promise<JsonObject> {
  try {
    const { status, body } = pushAnswer(id, await upgrades.pushOne(id, request));
    const { version, manifest_files, already_current } = body;
    if (status === 200) {
      const applied = body.applied === true ? true : undefined;
      return { id, ok: true, version, manifest_files, applied, already_current };
    }
    const error = `staged but apply failed: ${body.apply_error}`;
    return { id, ok: false, error, code: "internal", version, manifest_files };
  } catch (e) {
    if (!(e instanceof ApiError)) throw e;
    return { id, ok: false, error: e.message, code: e.code };
  }
}

/** Why an edge has nothing staged. */
function notTold({ record, removed }: Told): ApiError {
  if (removed) {
    return new ApiError("not-found", `edge ${record.edgeId}: removed while it was being upgraded`);
  }
  if (record.reason === "") {
    return new ApiError("unavailable", "the manager is being stopped; the upgrade goes on after", {
      hint: "GET /api/v1/edges/{id}/upgrades shows what becomes of it.",
    });
  }
  const text = callFailure("fetch_package", record.edgeId, record.reason);
  return new ApiError("internal", `fetch_package: ${text}`);
}

/** Why an edge that has staged did not take the call to apply; undefined when it did. */
function applyFailure({ record, applyError }: Told): string | undefined {
  const failed = record.code === "apply_failed" ? record.reason : undefined;
  const text = record.applyAccepted ? undefined : failed ?? applyError;
  return text === undefined ? undefined : callFailure("apply_package", record.edgeId, text);
}

function fetchedFields({ fetched }: Told): JsonObject {
  const reply = fetched ?? {};
  return {
    staged_path: textField(reply, "staged_path", MAX_PATH_CHARS),
    bytes: countField(reply, "bytes") ?? 0,
    manifest_files: countField(reply, "manifest_files") ?? 0,
  };
}

function bundleView(entry: CatalogEntry): JsonObject {
  const { arch, version, file, available } = entry;
  if (!entry.available) return { arch, version, file, available, error: entry.error };
  const { bytes, sha256, modifiedAt } = entry.bundle;
  return { arch, version, file, available, bytes, sha256, modified_at: modifiedAt };
}
