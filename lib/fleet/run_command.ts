/** `manager run`: the service. */

import { dirname } from "@std/path";
import { OngridError, UsageError } from "../cli/errors.ts";
import type { Output } from "../cli/output.ts";
import { startBroker } from "../tunnel/broker.ts";
import type { GatewayHandlers } from "../tunnel/gateway.ts";
import type { Effects } from "./effects.ts";
import {
  formatAddress,
  type ListenAddress,
  listenOn,
  parseListenAddress,
} from "./listen_address.ts";
import { type Manager, type ManagerGateway, startManager } from "./manager.ts";
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

/** Runs the service until it is stopped; its exit code is 0. */
export async function runManager(context: RunContext): Promise<number> {
  const { options, env, version, output, effects, stop } = context;
  const edgebound = parseListenAddress(options["edgebound-addr"], "ONGRID_EDGEBOUND_ADDR");
  const http = parseListenAddress(options["http-addr"], "ONGRID_HTTP_ADDR");
  const publicUrl = parsePublicUrl(options["public-url"]);
  const tls = readTls(options);
  const admin = {
    email: env("ONGRID_ADMIN_EMAIL") || "admin@localhost",
    password: env("ONGRID_ADMIN_PASSWORD") || undefined,
  };
  await Deno.mkdir(dirname(options.db), { recursive: true, mode: 0o700 });
  let edgeAddress = "";
  const manager = await startManager({
    databasePath: options.db,
    http,
    publicUrl,
    bundleDirectory: options["bundle-dir"],
    version,
    tokenTtlMs: options["token-ttl"],
    admin,
    settings: { ...DEFAULT_PUSH_SETTINGS, verifyMs: options["upgrade-deadline"] },
    reconnectMs: RECONNECT_MS,
    effects,
    log: output,
    openGateway: async (handlers) => {
      const gateway = await openBroker({ handlers, address: edgebound, tls, output });
      edgeAddress = gateway.address;
      return gateway;
    },
  });
  announce(manager, { edgeAddress, email: admin.email, output });
  await aborted(stop);
  output.info("stopping");
  await manager.close();
  return 0;
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
