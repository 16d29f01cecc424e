/** What a manager can call on this agent. */

import type { CallContext, Handler } from "../../tunnel/handler.ts";
import { describeError, OngridError } from "../../cli/errors.ts";
import { isRealDirectory } from "../../fs/foreign.ts";
import { STAGE } from "../paths.ts";
import { encodeBody } from "./json.ts";
import type { Leave } from "./leave.ts";
import { storeLegacyFile } from "./legacy_file.ts";
import { parseAgentUpgradeRequest, parseBundleChoice, parseFetchRequest } from "./requests.ts";
import type { Stager } from "./stager.ts";
import type { StagedRecord } from "./store.ts";

/** What the handlers work with. */
export interface MethodOptions {
  readonly stager: Stager;
  readonly leave: Leave;
  /** How long a fetched bundle waits for `apply_package` before the agent leaves by itself. */
  readonly applyGraceMs: number;
}

/** Longest error text sent, in characters: it ends up in a table of a web page. */
const MAX_ERROR_CHARS = 1000;

/** Errors of a download that existing agents send without the method's name. */
const BARE_ERROR = /^(get|stream|build req): |^sha256 mismatch \(|^bundle too large \(/;

/** The methods by name, for {@linkcode connectEdge}. */
export function agentMethods(options: MethodOptions): Record<string, Handler> {
  const { stager, leave } = options;
  return {
    fetch_package: answering("fetch_package", (body, call) => fetchPackage(options, body, call)),
    apply_package: answering("apply_package", (body) => applyPackage(options, body)),
    drop_package: answering("drop_package", (body) => dropPackage(options, body)),
    agent_upgrade: answering("agent_upgrade", async (body, call) => {
      const request = parseAgentUpgradeRequest(body);
      const file = await stager.downloadFile(request, call.signal);
      const path = storeLegacyFile(stager.store, file.path, request.sha256);
      leave.afterReply({ exitCode: 0, reason: "a new agent is staged: leaving to be upgraded" });
      return { staged_path: path, bytes: file.bytes };
    }),
  };
}

async function fetchPackage(options: MethodOptions, body: Uint8Array, call: CallContext) {
  const { stager, leave } = options;
  const request = parseFetchRequest(body);
  const applying = stager.store.ready();
  if (leave.pending && applying?.bundle_sha256 !== request.sha256) {
    throw new OngridError(`about to restart into ${applying?.version ?? "another version"}`);
  }
  const record = await unlessGone(stager.stage(request), stager, call);
  const reply = (path: string) => ({
    staged_path: stager.store.at(path),
    bytes: record.bytes,
    manifest_files: record.manifest_files,
    version: request.version ?? record.version,
  });
  if (request.wait) {
    // An earlier call may have brought it further, and has started the clock.
    leave.cancel();
    return reply(isReady(stager, record) ? STAGE.incoming : STAGE.staged);
  }
  stager.promote(record.bundle_sha256);
  leave.after(options.applyGraceMs, {
    exitCode: 0,
    reason: `${record.version} is staged and nobody asked to wait: leaving to be upgraded`,
  });
  return reply(STAGE.incoming);
}

/**
 * The staged bundle, unless the caller has gone before it was there: a bundle whose caller does not
 * know that it is complete must not apply itself.
 */
async function unlessGone(
  staging: Promise<StagedRecord>,
  stager: Stager,
  { signal }: CallContext,
): Promise<StagedRecord> {
  const gone = () => {
    const progress = stager.progress;
    const state = progress === undefined
      ? "it is staged"
      : `${progress.phase}${progress.percent === undefined ? "" : ` (${progress.percent} %)`}`;
    return new OngridError(`the call ended before staging did: ${state}; ask again to join it`);
  };
  const ended = Promise.withResolvers<never>();
  const end = () => ended.reject(gone());
  if (signal.aborted) end();
  signal.addEventListener("abort", end, { once: true });
  try {
    return await Promise.race([staging, ended.promise]);
  } finally {
    signal.removeEventListener("abort", end);
  }
}

function applyPackage({ stager, leave }: MethodOptions, body: Uint8Array) {
  const { store } = stager;
  const wanted = parseBundleChoice(body, "apply_package");
  const chosen = [store.staged(), store.ready()].find((record) =>
    record && (wanted === undefined || record.bundle_sha256 === wanted)
  );
  if (chosen === undefined && (wanted !== undefined || !hasIncoming(stager))) {
    throw new OngridError("apply_package: no staged bundle (run fetch_package first)");
  }
  stager.refuseUnsettled();
  if (chosen) stager.promote(chosen.bundle_sha256);
  leave.afterReply({
    exitCode: 0,
    reason: `asked to apply ${chosen?.version ?? "the staged bundle"}: leaving to be upgraded`,
  });
  return { accepted: true };
}

/** Drops a staged bundle, a staging under way included, so that nothing applies it. */
async function dropPackage({ stager, leave }: MethodOptions, body: Uint8Array) {
  const wanted = parseBundleChoice(body, "drop_package");
  const running = stager.progress;
  const ended = running !== undefined && (wanted === undefined || running.sha256 === wanted) &&
    await stager.abort("the bundle was dropped");
  const dropped = stager.drop(wanted);
  if (!stager.store.ready()) leave.cancel();
  return { dropped: ended || dropped.length > 0 };
}

function isReady(stager: Stager, record: StagedRecord): boolean {
  return stager.store.ready()?.bundle_sha256 === record.bundle_sha256;
}

/** True for a bundle that an agent without records of its own staged before this one. */
function hasIncoming(stager: Stager): boolean {
  return isRealDirectory(stager.store.at(STAGE.incoming));
}

/** Encodes the answer; turns every error into the one line that goes over the wire. */
function answering(
  method: string,
  act: (
    body: Uint8Array,
    call: CallContext,
  ) => Record<string, unknown> | Promise<Record<string, unknown>>,
): Handler {
  return async (body, call) => {
    try {
      return encodeBody(await act(body, call));
    } catch (error) {
      const { message } = describeError(error);
      const bare = BARE_ERROR.test(message) || message.startsWith(`${method}: `);
      throw new OngridError((bare ? message : `${method}: ${message}`).slice(0, MAX_ERROR_CHARS), {
        cause: error,
      });
    }
  };
}
