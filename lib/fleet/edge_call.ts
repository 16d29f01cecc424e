/** Calls to edges, and what a failed one means for an upgrade. */

import { describeError, ProtocolError, RemoteError } from "../cli/errors.ts";
import {
  CALL_FORCE_CLOSED,
  CALL_TIMEOUT,
  EDGE_NOT_ONLINE,
  type EdgeGateway,
} from "../tunnel/gateway.ts";
import type { PushEvent, PushMethod } from "./push_state.ts";
import { cleanText } from "./values.ts";

/** What an agent answers to a caller that it takes to have gone, while it goes on staging. */
const STAGES_ON = "ask again to join it";

/** Calls a method of an edge through whichever gateway the manager runs. */
export type CallEdge = EdgeGateway["call"];

/** The longest error text of an edge that is stored, in characters. */
const MAX_TEXT_CHARS = 1000;

/** The text with which a call to an edge failed. */
export function failureText(e: unknown): string {
  const text = e instanceof RemoteError || e instanceof ProtocolError
    ? e.message
    : describeError(e).message;
  return cleanText(text, MAX_TEXT_CHARS);
}

/**
 * What a failed call means: only a text of the edge itself is a refusal. A limit of the broker, a
 * lost connection or an edge that is not there say nothing about what the edge does.
 */
export function classifyFailure(method: PushMethod, e: unknown): PushEvent {
  const text = failureText(e);
  if (text === EDGE_NOT_ONLINE) return { kind: "lost", method, why: "offline" };
  if (e instanceof ProtocolError) {
    return { kind: "lost", method, why: e.kind === "timeout" ? "timeout" : "closed" };
  }
  if (text === CALL_FORCE_CLOSED) return { kind: "lost", method, why: "closed" };
  // What agents answer when the broker's limit on a call ended it for them: an older one has
  // given up its download, a newer one stages on.
  if (
    text === CALL_TIMEOUT || text.endsWith("context deadline exceeded") || text.includes(STAGES_ON)
  ) {
    return { kind: "lost", method, why: "timeout" };
  }
  return { kind: "refused", method, text, unknownMethod: text.startsWith("no such rpc") };
}

/** A failed call as the existing manager words it; scripts look into this text. */
export function callFailure(method: PushMethod, edgeId: bigint, text: string): string {
  return `frontierbound: call "${method}" edge=${edgeId} transport=${edgeId}: ${text}`;
}
