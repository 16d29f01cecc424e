import { EDGE_NOT_ONLINE, type EdgeGateway, type GatewayHandlers } from "../tunnel/gateway.ts";
import { describeError, RemoteError } from "../cli/errors.ts";
import { Accounts } from "./accounts.ts";
import { ApiError } from "./api_error.ts";
import { BundleDirectory } from "./bundles.ts";
import type { CallEdge } from "./edge_call.ts";
import type { Effects, Log } from "./effects.ts";
import { managerRoutes } from "./http/routes.ts";
import { createRouter, type HttpHandler } from "./http/router.ts";
import { type HttpServer, startHttpServer } from "./http/server.ts";
import { formatAddress, type ListenAddress } from "./listen_address.ts";
import { PushDriver } from "./push_driver.ts";
import type { PushSettings } from "./push_state.ts";
import { EdgeRegistry } from "./registry.ts";
import { RolloutEngine } from "./rollouts.ts";
import { openServiceStore } from "./sqlite/open.ts";
import type { FleetStore } from "./store.ts";
import { Upgrades } from "./upgrades.ts";

/** A gateway that can send an edge away. */
export type ManagerGateway = EdgeGateway & { kick?(edgeId: bigint): Promise<unknown> };

/** How a manager is run. */
export interface ManagerOptions {
  databasePath: string;
  http: ListenAddress;
  /**
   * The URL under which edges reach `/edge/`, without a slash at its end. Undefined: the address of
   * the HTTP server, when that is one that others can use.
   */
  publicUrl: string | undefined;
  bundleDirectory: string;
  /** What an empty version in a request means. */
  version: string;
  tokenTtlMs: number;
  /** The account made when there is none; its password is made up when undefined. */
  admin: { email: string; password: string | undefined };
  settings: PushSettings;
  /** How long after the start edges are waited for instead of skipped, ms. */
  reconnectMs: number;
  effects: Effects;
  log: Log;
  /** Starts what edges connect to. */
  openGateway: (handlers: GatewayHandlers) => Promise<ManagerGateway>;
}

/** A running manager. */
export interface Manager {
  /** `host:port` of the HTTP server. */
  readonly httpAddress: string;
  /** The URL for edges and people; undefined when none is configured and none can be told. */
  readonly publicUrl: string | undefined;
  /** The password made up for the first administrator: shown now or never. */
  readonly adminPassword: string | undefined;
  /** Stops in order within 5 s; upgrades under way are taken up by the next start. */
  close(): Promise<void>;
}

/**
 * Starts a manager: registry, gateway, upgrades, HTTP. What fails on the way closes what was
 * started before.
 *
 * @throws {OngridError} The database, the gateway or the HTTP address cannot be opened, or another
 * manager runs on the database.
 */
export async function startManager(options: ManagerOptions): Promise<Manager> {
  const store = openServiceStore(options.databasePath);
  const parts = new Parts(options, store);
  try {
    // No connection outlives the broker in this process.
    await store.edges.setAllOffline();
    // Before the first edge can connect: what it says then must find the upgrade it belongs to.
    await parts.engine.resume();
    // Before that, too: an edge may be sent here to download at once.
    const http = await parts.openHttp();
    await parts.openGateway();
    // Last: a password that was made up is shown now or never, so nothing may fail after it.
    const adminPassword = await parts.accounts.ensureAdmin(options.admin);
    const httpAddress = formatAddress(http);
    const publicUrl = parts.publicUrl;
    return { httpAddress, publicUrl, adminPassword, close: () => parts.close() };
  } catch (e) {
    await parts.close();
    throw e;
  }
}

/** The parts of one manager and how they are wired. */
class Parts {
  readonly accounts: Accounts;
  readonly engine: RolloutEngine;
  readonly #options: ManagerOptions;
  readonly #store: FleetStore;
  readonly #registry: EdgeRegistry;
  readonly #bundles: BundleDirectory;
  readonly #driver: PushDriver;
  readonly #upgrades: Upgrades;
  #gateway: ManagerGateway | undefined;
  #http: HttpServer | undefined;

  constructor(options: ManagerOptions, store: FleetStore) {
    const { effects, log, settings, bundleDirectory, version, tokenTtlMs, reconnectMs } = options;
    this.#options = options;
    this.#store = store;
    this.accounts = new Accounts({ users: store.users, effects, tokenTtlMs });
    const registry = new EdgeRegistry({ edges: store.edges, effects, log });
    const bundles = new BundleDirectory(bundleDirectory, version);
    const driver = new PushDriver({
      store,
      effects,
      log,
      callEdge: (...call: Parameters<CallEdge>) => this.#callEdge(...call),
      isReady: (edgeId) => registry.isReady(edgeId),
      bundleUrl: (file) => `${this.#requirePublicUrl()}/edge/${file}`,
    });
    const upgrades = new Upgrades({ store, bundles, driver, effects, settings });
    const common = { store, bundles, registry, driver, upgrades, effects, log };
    this.engine = new RolloutEngine({ ...common, settings, reconnectMs });
    registry.listen(driver);
    this.#registry = registry;
    this.#bundles = bundles;
    this.#driver = driver;
    this.#upgrades = upgrades;
  }

  get publicUrl(): string | undefined {
    const { publicUrl } = this.#options;
    if (publicUrl !== undefined) return publicUrl.replace(/\/+$/, "");
    const isAny = this.#http?.hostname === "::" || this.#http?.hostname === "0.0.0.0";
    return this.#http === undefined || isAny ? undefined : `http://${formatAddress(this.#http)}`;
  }

  async openGateway(): Promise<void> {
    this.#gateway = await this.#options.openGateway(this.#registry);
  }

  async openHttp(): Promise<HttpServer> {
    const { http: address, log } = this.#options;
    this.#http = await startHttpServer({ address, handler: this.#handler(), log });
    return this.#http;
  }

  /** In an order in which nothing is left to wait for something that has gone. */
  async close(): Promise<void> {
    const served = this.#http?.close();
    const ended = this.engine.close();
    await this.#driver.close();
    await this.#registry.close();
    await this.#gateway?.close();
    await ended;
    await served;
    await this.#noteOffline();
    await this.#store.close();
  }

  /** One write for all edges: one for each could take minutes where the database is held up. */
  async #noteOffline(): Promise<void> {
    try {
      await this.#store.edges.setAllOffline();
    } catch (e) {
      this.#options.log.warn(`Cannot store that all edges went: ${describeError(e).message}`);
    }
  }

  #handler(): HttpHandler {
    const { effects, log, settings, bundleDirectory } = this.#options;
    const { accounts, engine } = this;
    const routes = managerRoutes({
      store: this.#store,
      accounts,
      registry: this.#registry,
      bundles: this.#bundles,
      upgrades: this.#upgrades,
      engine,
      effects,
      log,
      bundleDirectory,
      verifyMs: settings.verifyMs,
      checkHealth: () => this.#checkHealth(),
      requireReady: () => void this.#requirePublicUrl(),
      dropEdge: (edgeId) => this.#dropEdge(edgeId),
    });
    return createRouter({ routes, accounts, log });
  }

  async #callEdge(...call: Parameters<CallEdge>): Promise<Uint8Array> {
    if (this.#gateway === undefined) throw new RemoteError(EDGE_NOT_ONLINE);
    return await this.#gateway.call(...call);
  }

  async #checkHealth(): Promise<string | undefined> {
    if (this.#gateway === undefined) return "edges cannot connect";
    try {
      await this.#store.ping();
      return undefined;
    } catch (e) {
      this.#options.log.error(`Cannot reach the database: ${describeError(e).message}`);
      return "the database does not answer";
    }
  }

  #dropEdge(edgeId: bigint): void {
    this.#driver.drop(edgeId);
    const kicked = this.#gateway?.kick?.(edgeId) ?? Promise.resolve();
    kicked.catch((e) => {
      this.#options.log.warn(`Cannot send edge ${edgeId} away: ${describeError(e).message}`);
    });
  }

  #requirePublicUrl(): string {
    const url = this.publicUrl;
    if (url !== undefined) return url;
    throw new ApiError("not-wired-yet", "publicURL not configured; cannot build bundle URL", {
      hint: "Set ONGRID_PUBLIC_URL to the URL under which edges reach this manager.",
    });
  }
}
