/** One connection to a manager: register, then a heartbeat until it ends. */

import type { EdgeConnection } from "../../tunnel/edge_client.ts";
import { describeError, OngridError } from "../../cli/errors.ts";
import type { AgentEffects } from "./effects.ts";
import type { HostInfo } from "./host_info.ts";
import { encodeBody, idOf, parseBody } from "./json.ts";
import type { UpgradeReport } from "./upgrade_state.ts";

/** Time between heartbeats in milliseconds, as managers expect it. */
export const HEARTBEAT_MS = 30_000;

/** How long an answer may take, in milliseconds: what a broker allows. */
const ANSWER_MS = 30_000;

/** Failed heartbeats in a row before the connection is given up. */
const MAX_FAILED_HEARTBEATS = 3;

/** The manager has forgotten this edge, or the broker has lost the way: registering again helps. */
const REGISTER_AGAIN = /re-register required|edge id mismatch|not found/;

/** The connection itself is no use any more. */
const RECONNECT = /no such rpc|mismatch/;

/** What a session needs. */
export interface SessionOptions {
  readonly connection: EdgeConnection;
  /** The agent's version. */
  readonly version: string;
  readonly hostInfo: () => HostInfo;
  readonly upgrade: () => UpgradeReport;
  /** What every heartbeat says beside the time; undefined where there is nothing to say. */
  readonly statusFlags: () => Record<string, string> | undefined;
  /** Called after each acceptance with the id that the manager gave. */
  readonly onAccepted: (edgeId: bigint) => void;
  /** Called after each heartbeat that was answered: the connection has proved good for a while. */
  readonly onHeartbeat: () => void;
  readonly warn: (message: string) => void;
  readonly effects: Pick<AgentEffects, "now" | "sleep">;
  /** Ends the session. */
  readonly signal: AbortSignal;
}

/**
 * Registers this edge and keeps it registered until the connection ends or must be given up.
 *
 * @returns why it ended.
 * @throws {OngridError} where the manager did not accept this edge.
 */
export async function runSession(options: SessionOptions): Promise<string> {
  const { connection, effects } = options;
  const over = new AbortController();
  let reason = "leaving";
  const end = (why: string) => {
    if (over.signal.aborted) return;
    reason = why;
    over.abort();
  };
  const leave = () => end("leaving");
  options.signal.addEventListener("abort", leave, { once: true });
  if (options.signal.aborted) leave();
  void connection.closed.then((closed) => end(closed.reason));
  try {
    let edgeId = await register(options, over.signal);
    for (let failed = 0; !over.signal.aborted;) {
      await effects.sleep(HEARTBEAT_MS, over.signal);
      if (over.signal.aborted) break;
      const problem = await heartbeat(options, edgeId, over.signal);
      if (problem === undefined) {
        failed = 0;
        options.onHeartbeat();
      } else if (REGISTER_AGAIN.test(problem)) edgeId = await register(options, over.signal);
      else if (RECONNECT.test(problem) || ++failed >= MAX_FAILED_HEARTBEATS) end(problem);
      else if (!over.signal.aborted) options.warn(`heartbeat failed: ${problem}`);
    }
    return reason;
  } catch (error) {
    if (over.signal.aborted) return reason;
    throw error;
  } finally {
    options.signal.removeEventListener("abort", leave);
  }
}

async function register(options: SessionOptions, signal: AbortSignal): Promise<bigint> {
  const { connection } = options;
  const body = encodeBody({
    access_key: "",
    secret_key: "",
    host_info: options.hostInfo(),
    agent_version: options.version,
    upgrade: options.upgrade(),
  });
  let answer: Uint8Array;
  try {
    answer = await connection.call("register_edge", body, { timeoutMs: ANSWER_MS, signal });
  } catch (error) {
    throw new OngridError("register_edge", { cause: error });
  }
  const { edge_id } = parseBody(answer, "decode register_edge answer");
  const edgeId = idOf(edge_id) ?? connection.edgeId;
  options.onAccepted(edgeId);
  return edgeId;
}

/** Sends one heartbeat. Returns the problem, undefined where there is none. */
async function heartbeat(
  options: SessionOptions,
  edgeId: bigint,
  signal: AbortSignal,
): Promise<string | undefined> {
  const { connection, effects } = options;
  const flags = options.statusFlags();
  const body = encodeBody({
    edge_id: edgeId,
    ts: Math.floor(effects.now().getTime() / 1000),
    ...(flags === undefined ? {} : { status_flags: flags }),
  });
  try {
    await connection.call("heartbeat", body, { timeoutMs: ANSWER_MS, signal });
    return undefined;
  } catch (error) {
    return describeError(error).message;
  }
}
