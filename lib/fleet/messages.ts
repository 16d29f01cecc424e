/** The JSON bodies that edges send, read with bounds. */

import { OngridError } from "../cli/errors.ts";
import { countField, isObject, type JsonObject, parseId, parseJson, textField } from "./values.ts";

/** The largest body of a call that is parsed, in bytes: metrics batches are the largest there are. */
const MAX_BODY_BYTES = 4 * 1024 * 1024;

/** The largest credentials body, in bytes; real ones have about 100. */
const MAX_META_BYTES = 4096;

const MAX_FIELD_CHARS = 256;
const MAX_VERSION_CHARS = 64;
const MAX_PERCENT_CHARS = 8;

/** The longest reason kept of an edge's report, in characters: a few lines for a person. */
export const MAX_REASON_CHARS = 1000;

/** What a host says about itself in `register_edge`; text fields are empty when unknown. */
export interface HostInfo {
  hostname: string;
  os: string;
  arch: string;
  kernel_version: string;
  cpu_count?: number;
  mem_total_bytes?: number;
  fingerprint?: string;
  hardware_fingerprint?: string;
  ip_address?: string;
}

/** What became of an edge's last upgrade, by its own root records. */
export interface UpgradeReport {
  /** `none`, `armed`, `settled`, `rolled_back` or `refused`; newer agents may say others. */
  state: string;
  /** The version that was to be installed. */
  version: string;
  reason: string;
  /** When it happened, as the edge writes it; tells a new report from an old one. */
  at: string;
}

/** How far a host is with staging a bundle, as heartbeats tell. */
export interface StagingProgress {
  /** `downloading`, `verifying`, `staged` or `ready`. */
  phase: string;
  version: string;
  /** Whole per cent of the download, as text; empty when unknown. */
  percent: string;
}

/** A decoded `register_edge` request. */
export interface Registration {
  agentVersion: string;
  host: HostInfo;
  report: UpgradeReport | undefined;
}

/** Parses the credentials an edge connects with: `{"access_key","secret_key"}`. */
export function decodeMeta(meta: Uint8Array): { accessKey: string; secret: string } {
  const body = decodeBody(meta, "bad meta", MAX_META_BYTES);
  const { access_key: accessKey, secret_key: secret } = body;
  return {
    accessKey: typeof accessKey === "string" ? accessKey : "",
    secret: typeof secret === "string" ? secret : "",
  };
}

/** Parses the body of `register_edge`. */
export function decodeRegistration(bytes: Uint8Array): Registration {
  const body = decodeBody(bytes, "register_edge: decode");
  const host = isObject(body.host_info) ? body.host_info : {};
  return {
    agentVersion: textField(body, "agent_version", MAX_VERSION_CHARS),
    host: decodeHost(host),
    report: isObject(body.upgrade) ? decodeReport(body.upgrade) : undefined,
  };
}

/** Parses the body of `heartbeat`: the edge id it claims, when it does, and what it stages. */
export function decodeHeartbeat(
  bytes: Uint8Array,
): { edgeId: bigint | undefined; staging: StagingProgress | undefined } {
  const body = decodeBody(bytes, "heartbeat: decode");
  const claimed = body.edge_id === undefined || body.edge_id === 0
    ? undefined
    : parseId(body.edge_id) ?? 0n;
  const flags = isObject(body.status_flags) ? body.status_flags : {};
  const phase = textField(flags, "upgrade_phase", MAX_VERSION_CHARS);
  return {
    edgeId: claimed,
    staging: phase === "" ? undefined : {
      phase,
      version: textField(flags, "upgrade_version", MAX_VERSION_CHARS),
      percent: textField(flags, "upgrade_percent", MAX_PERCENT_CHARS),
    },
  };
}

/** How many items a batch of telemetry carries: the length of its longest list. */
export function countBatch(bytes: Uint8Array, method: string): number {
  const body = decodeBody(bytes, `${method}: decode`);
  const lengths = Object.values(body).map((value) => Array.isArray(value) ? value.length : 0);
  return lengths.reduce((most, length) => Math.max(most, length), 0);
}

/**
 * A JSON object out of a call's body; an empty body is an empty object.
 *
 * @throws {OngridError} `<what>: …` when it is too large or not a JSON object.
 */
export function decodeBody(
  bytes: Uint8Array,
  what: string,
  maxBytes: number = MAX_BODY_BYTES,
): JsonObject {
  if (bytes.length > maxBytes) throw new OngridError(`${what}: more than ${maxBytes} bytes`);
  if (bytes.length === 0) return {};
  let value: unknown;
  try {
    value = parseJson(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (e) {
    // Not the parser's own message: it quotes the text, which may hold a secret.
    if (e instanceof SyntaxError) throw new OngridError(`${what}: not valid JSON`);
    if (e instanceof TypeError) throw new OngridError(`${what}: not valid UTF-8`);
    throw e;
  }
  if (!isObject(value)) throw new OngridError(`${what}: not a JSON object`);
  return value;
}

function decodeHost(host: JsonObject): HostInfo {
  const info: HostInfo = {
    hostname: textField(host, "hostname", MAX_FIELD_CHARS),
    os: textField(host, "os", MAX_FIELD_CHARS),
    arch: textField(host, "arch", MAX_FIELD_CHARS),
    kernel_version: textField(host, "kernel_version", MAX_FIELD_CHARS),
  };
  for (const key of ["fingerprint", "hardware_fingerprint", "ip_address"] as const) {
    const text = textField(host, key, MAX_FIELD_CHARS);
    if (text !== "") info[key] = text;
  }
  for (const key of ["cpu_count", "mem_total_bytes"] as const) {
    const count = countField(host, key);
    if (count !== undefined) info[key] = count;
  }
  return info;
}

function decodeReport(upgrade: JsonObject): UpgradeReport {
  return {
    state: textField(upgrade, "state", MAX_VERSION_CHARS),
    version: textField(upgrade, "version", MAX_VERSION_CHARS),
    reason: textField(upgrade, "reason", MAX_REASON_CHARS),
    at: textField(upgrade, "at", MAX_VERSION_CHARS),
  };
}
