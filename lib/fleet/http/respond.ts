/** Making responses. */

import { ApiError } from "../api_error.ts";
import { toJson } from "../values.ts";

/** On every answer of the API: it is nobody's to keep, and never anything but what it says it is. */
const API_HEADERS = {
  "cache-control": "no-store",
  "x-content-type-options": "nosniff",
};

/** `value` as JSON. */
export function json(value: unknown, status = 200): Response {
  return new Response(`${toJson(value)}\n`, {
    status,
    headers: { ...API_HEADERS, "content-type": "application/json" },
  });
}

/** Plain text, for the few answers that are not JSON. */
export function plain(text: string, status: number, headers: HeadersInit = {}): Response {
  const response = new Response(`${text}\n`, { status, headers });
  for (const [name, value] of Object.entries(API_HEADERS)) response.headers.set(name, value);
  response.headers.set("content-type", "text/plain; charset=utf-8");
  return response;
}

/** An error as the body `{"error", "code", "hint"?}`. */
export function failure(e: ApiError): Response {
  const response = json({ error: e.message, code: e.code, hint: e.hint }, e.status);
  if (e.code === "too-many-requests") response.headers.set("retry-after", "60");
  return response;
}

/** A moment in milliseconds since the epoch as the API writes it; null for none. */
export function timestamp(ms: number | undefined): string | null {
  return ms === undefined ? null : new Date(ms).toISOString();
}
