/** What a manager may ask of an agent. The error texts are those that existing managers know. */

import { OngridError } from "../../cli/errors.ts";
import { parseBody } from "./json.ts";

/** What to download. */
export interface BundleRequest {
  readonly url: string;
  /** Lower-case hex. */
  readonly sha256: string;
  /** What the manager calls it; undefined where it does not say. */
  readonly version: string | undefined;
}

/** The body of `fetch_package`. */
export interface FetchRequest extends BundleRequest {
  /** True where the bundle is to wait for `apply_package`, however long. */
  readonly wait: boolean;
}

/** Longest URL accepted, in characters: what common servers accept. */
const MAX_URL_CHARS = 8192;

/** Longest version accepted, in characters; it is only echoed. */
const MAX_VERSION_CHARS = 64;

/**
 * Reads the body of `fetch_package`. Fields of newer managers are ignored.
 *
 * @throws {OngridError} `fetch_package: sha256 must be 64 hex chars (got N)` and the like.
 */
export function parseFetchRequest(body: Uint8Array): FetchRequest {
  const fields = parseBody(body, "fetch_package: decode request");
  return { ...bundleRequest(fields, "fetch_package"), wait: fields.apply === "wait" };
}

/** Reads the body of `agent_upgrade`, an upgrade of the agent's binary alone. */
export function parseAgentUpgradeRequest(body: Uint8Array): BundleRequest {
  return bundleRequest(parseBody(body, "agent_upgrade: decode request"), "agent_upgrade");
}

/**
 * Reads the optional `sha256` with which newer managers say which bundle they mean.
 *
 * @param method names the call in errors.
 */
export function parseBundleChoice(body: Uint8Array, method: string): string | undefined {
  const { sha256 } = parseBody(body, `${method}: decode request`);
  return sha256 === undefined || sha256 === "" ? undefined : checkSha256(sha256, method);
}

/**
 * Checks a sha256 and lowers it.
 *
 * @param what begins the error.
 */
export function checkSha256(value: unknown, what: string): string {
  const text = typeof value === "string" ? value : "";
  // In bytes, as existing agents count them.
  const { length } = new TextEncoder().encode(text);
  if (length !== 64) throw new OngridError(`${what}: sha256 must be 64 hex chars (got ${length})`);
  const lowered = text.toLowerCase();
  if (!/^[0-9a-f]{64}$/.test(lowered)) throw new OngridError(`${what}: sha256 not lower-hex`);
  return lowered;
}

/**
 * Checks that a text is a URL that can be downloaded from.
 *
 * @param what begins the error.
 */
export function checkUrl(value: unknown, what: string): string {
  const text = typeof value === "string" ? value : "";
  if (!/^https?:\/\//i.test(text) || text.length > MAX_URL_CHARS) {
    throw new OngridError(`${what}: url must be http(s)`);
  }
  if (!URL.canParse(text)) throw new OngridError(`build req: cannot parse the url`);
  return text;
}

function bundleRequest(fields: Record<string, unknown>, method: string): BundleRequest {
  const { version } = fields;
  const named = typeof version === "string" && version !== "";
  return {
    sha256: checkSha256(fields.sha256, method),
    url: checkUrl(fields.url, method),
    version: named ? version.slice(0, MAX_VERSION_CHARS) : undefined,
  };
}
