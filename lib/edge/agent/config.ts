/** The service's configuration: the environment that its unit reads from a file. */

import { X509Certificate } from "node:crypto";
import { formatDuration, MAX_DURATION_MS, parseDuration } from "../../cli/duration.ts";
import { OngridError, UsageError } from "../../cli/errors.ts";

/** Reads one environment variable; an empty value counts as unset. */
export type Env = (name: string) => string | undefined;

/** What the service needs to know. */
export interface AgentConfig {
  /** The manager's tunnel port. */
  readonly hostname: string;
  readonly port: number;
  readonly accessKey: string;
  readonly secretKey: string;
  /** PEM of the authority behind the tunnel and the download; without it the tunnel is plain TCP. */
  readonly ca: string | undefined;
  /** How long a fresh upgrade may take to be accepted by a manager, in milliseconds; 0 = for ever. */
  readonly probationMs: number;
  /** How long a fetched bundle waits for `apply_package`, in milliseconds. */
  readonly applyGraceMs: number;
}

/** Where the unit takes the environment from. */
export const ENV_FILE = "/etc/ongrid-edge/ongrid-edge.env";

const DEFAULT_PROBATION = "10m";
const DEFAULT_APPLY_GRACE = "5s";

/**
 * Reads and checks the configuration.
 *
 * @throws {UsageError} naming the variable and the file it belongs into.
 */
export function agentConfig(env: Env): AgentConfig {
  const { hostname, port } = address(required(env, "ONGRID_EDGE_CLOUD_ADDR"));
  return {
    hostname,
    port,
    accessKey: required(env, "ONGRID_EDGE_ACCESS_KEY"),
    secretKey: required(env, "ONGRID_EDGE_SECRET_KEY"),
    ca: caCertificates(env),
    probationMs: duration(env, "ONGRID_EDGE_UPGRADE_PROBATION", DEFAULT_PROBATION),
    applyGraceMs: duration(env, "ONGRID_EDGE_UPGRADE_APPLY_GRACE", DEFAULT_APPLY_GRACE),
  };
}

/**
 * The PEM text that `ONGRID_EDGE_TLS_CA_FILE` names, undefined where it is not set.
 *
 * @throws {UsageError} where the file cannot be read or holds no certificate.
 */
export function caCertificates(env: Env): string | undefined {
  const name = "ONGRID_EDGE_TLS_CA_FILE";
  const path = env(name);
  if (!path) return undefined;
  let text: string;
  try {
    // Before it is opened: a FIFO would hold the service up for ever.
    if (!Deno.statSync(path).isFile) throw new OngridError("it is not a regular file");
    text = Deno.readTextFileSync(path);
  } catch (error) {
    throw new UsageError(`cannot read the file that ${name} names, ${path}`, {
      cause: error,
      hint: `Make it readable for the agent's user, or correct ${name} in ${ENV_FILE}.`,
    });
  }
  checkPem(text, (problem) => invalid(name, path, problem));
  return text;
}

/** Looks at every certificate now: later, a damaged one only shows as a manager not trusted. */
function checkPem(text: string, invalidFile: (problem: string) => OngridError): void {
  const certificates = text.split(/(?=-----BEGIN CERTIFICATE-----)/)
    .filter((each) => each.startsWith("-----BEGIN"));
  if (certificates.length === 0) throw invalidFile("is no PEM file with a certificate");
  for (const [index, certificate] of certificates.entries()) {
    try {
      new X509Certificate(certificate);
    } catch {
      throw invalidFile(`holds a damaged certificate, number ${index + 1}`);
    }
  }
}

function required(env: Env, name: string): string {
  const value = env(name)?.trim();
  if (value) return value;
  throw new UsageError(`${name} is not set`, {
    hint: `Set it in ${ENV_FILE}, then restart the service (systemctl restart ongrid-edge).`,
  });
}

function address(text: string): { hostname: string; port: number } {
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([^\s:/\[\]]+)):([0-9]{1,5})$/.exec(text);
  const hostname = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  if (hostname === undefined || port < 1 || port > 65_535) {
    throw invalid(
      "ONGRID_EDGE_CLOUD_ADDR",
      text,
      "is not host:port, such as manager.example:40012",
    );
  }
  return { hostname, port };
}

function duration(env: Env, name: string, fallback: string): number {
  const text = env(name)?.trim() || fallback;
  const milliseconds = parseDuration(text);
  if (milliseconds === undefined) {
    const longest = formatDuration(MAX_DURATION_MS);
    throw invalid(name, text, `is not a duration up to ${longest}, such as 10m, 90s or 0`);
  }
  return milliseconds;
}

function invalid(name: string, value: string, problem: string): OngridError {
  return new UsageError(`${name}: "${value}" ${problem}`, {
    hint: `Correct it in ${ENV_FILE}, then restart the service.`,
  });
}
