/** `manager run`: the service. */

import { dirname } from "@std/path";
import { OngridError, UsageError } from "../cli/errors.ts";
import type { Output } from "../cli/output.ts";
import { startBroker } from "../tunnel/broker.ts";
import type { GatewayHandlers } from "../tunnel/gateway.ts";
import { accountProblem } from "./accounts.ts";
import type { Effects } from "./effects.ts";
import {
  formatAddress,
  type ListenAddress,
  listenOn,
  parseListenAddress,
} from "./listen_address.ts";
import { type Manager, type ManagerGateway, type ManagerOptions, startManager } from "./manager.ts";
import { DEFAULT_PUSH_SETTINGS } from "./push_state.ts";

/** The parsed options of `manager run`. */
export interface RunOptions {
  readonly db: string;
  readonly "http-addr": string;
  readonly "edgebound-addr": string;
  readonly "edgebound-tls-cert": string | undefined;
  readonly "edgebound-tls-key": string | undefined;
  readonly "public-url": string | undefined;
  readonly "bundle-dir": string;
  readonly "token-ttl": number;
  readonly "upgrade-deadline": number;
}

/** What the service works with. */
export interface RunContext {
  readonly options: RunOptions;
  readonly env: (name: string) => string | undefined;
  readonly version: string;
  readonly output: Output;
  readonly effects: Effects;
  /** Aborted when the service is stopped. */
  readonly stop: AbortSignal;
}

/**
 * After the start, edges are waited for this long before an upgrade skips them: their pause between
 * two attempts grows to 60 s.
 */
const RECONNECT_MS = 90_000;

/** The shortest time that makes sense for a login or an upgrade, ms: less is a missing unit. */
const MIN_DURATION_MS = 1000;

/** Runs the service until it is stopped; its exit code is 0. */
export async function runManager(context: RunContext): Promise<number> {
  const { options, output, stop } = context;
  const edgebound = parseListenAddress(options["edgebound-addr"], "ONGRID_EDGEBOUND_ADDR");
  const settings = managerSettings(context);
  const tls = readTls(options);
  makeDirectory(dirname(options.db));
  let edgeAddress = "";
  const manager = await startManager({
    ...settings,
    openGateway: async (handlers) => {
      const gateway = await openBroker({ handlers, address: edgebound, tls, output });
      edgeAddress = gateway.address;
      return gateway;
    },
  });
  announce(manager, { edgeAddress, email: settings.admin.email, output });
  await aborted(stop);
  output.info("stopping");
  await manager.close();
  return 0;
}

/** What the command line and the environment ask for, checked. */
function managerSettings(
  { options, env, version, output, effects }: RunContext,
): Omit<ManagerOptions, "openGateway"> {
  return {
    databasePath: options.db,
    http: parseListenAddress(options["http-addr"], "ONGRID_HTTP_ADDR"),
    publicUrl: parsePublicUrl(options["public-url"]),
    bundleDirectory: options["bundle-dir"],
    version,
    tokenTtlMs: parseDuration(options["token-ttl"], "--token-ttl"),
    admin: readAdmin(env),
    settings: {
      ...DEFAULT_PUSH_SETTINGS,
      verifyMs: parseDuration(options["upgrade-deadline"], "--upgrade-deadline"),
    },
    reconnectMs: RECONNECT_MS,
    effects,
    log: output,
  };
}

function readAdmin(
  env: RunContext["env"],
): { email: string; password: string | undefined } {
  const admin = {
    email: env("ONGRID_ADMIN_EMAIL") || "admin@localhost",
    password: env("ONGRID_ADMIN_PASSWORD") || undefined,
  };
  const problem = accountProblem(admin);
  if (problem === undefined) return admin;
  throw new UsageError(`Cannot make the first administrator: ${problem}`, {
    hint: "Set ONGRID_ADMIN_EMAIL and ONGRID_ADMIN_PASSWORD, or neither.",
  });
}

function parseDuration(ms: number, name: string): number {
  if (ms >= MIN_DURATION_MS) return ms;
  throw new UsageError(`Cannot use ${name}: it must be at least 1s`);
}

function makeDirectory(path: string): void {
  try {
    Deno.mkdirSync(path, { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw new OngridError("Cannot make the directory of the registry", {
      cause,
      hint: "Choose one that this account can write to (--db, ONGRID_DB_PATH).",
    });
  }
}

async function openBroker(
  { handlers, address, tls, output }: {
    handlers: GatewayHandlers;
    address: ListenAddress;
    tls: { cert: string; key: string } | undefined;
    output: Output;
  },
): Promise<ManagerGateway & { address: string }> {
  return await listenOn(address, async ({ hostname, port }) => {
    const broker = await startBroker({
      hostname,
      port,
      handlers,
      ...(tls === undefined ? {} : { tls }),
      warn: (message) => output.warn(message),
    });
    return Object.assign(broker, { address: formatAddress({ hostname, port: broker.port }) });
  });
}

function announce(
  manager: Manager,
  { edgeAddress, email, output }: { edgeAddress: string; email: string; output: Output },
): void {
  const { httpAddress: http, publicUrl, adminPassword } = manager;
  if (adminPassword !== undefined) {
    output.warn(
      `first administrator: ${email}, password: ${adminPassword} (not stored; shown only now)`,
    );
  }
  if (publicUrl === undefined) {
    output.warn("ONGRID_PUBLIC_URL is not set: edges cannot be upgraded until it is");
  }
  output.info(`listening: HTTP on ${http}, edges on ${edgeAddress}`);
  output.event("listening", { http, edgebound: edgeAddress, public_url: publicUrl ?? null });
}

function parsePublicUrl(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  const url = URL.parse(text);
  const isHttp = url?.protocol === "http:" || url?.protocol === "https:";
  if (url === null || !isHttp || url.search !== "" || url.hash !== "" || url.username !== "") {
    throw new UsageError(`Cannot use ONGRID_PUBLIC_URL: "${text}" is no http(s) URL`, {
      hint: "Write it like https://ongrid.example.com, without user, query or fragment.",
    });
  }
  return text;
}

function readTls(options: RunOptions): { cert: string; key: string } | undefined {
  const { "edgebound-tls-cert": cert, "edgebound-tls-key": key } = options;
  if (cert === undefined && key === undefined) return undefined;
  if (cert === undefined || key === undefined) {
    throw new UsageError("--edgebound-tls-cert and --edgebound-tls-key go together");
  }
  try {
    return { cert: Deno.readTextFileSync(cert), key: Deno.readTextFileSync(key) };
  } catch (cause) {
    throw new OngridError("Cannot read the certificate for edges", { cause });
  }
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => {
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
