import { describeError, OngridError } from "../cli/errors.ts";
import type { EdgePeer, GatewayHandlers } from "../tunnel/gateway.ts";
import { sameRelease } from "./arch.ts";
import type { Effects, Log } from "./effects.ts";
import {
  countBatch,
  decodeBody,
  decodeHeartbeat,
  decodeMeta,
  decodeRegistration,
  type Registration,
  type StagingProgress,
} from "./messages.ts";
import type { EdgeRecord } from "./records.ts";
import { MAX_SECRET_CHARS, secretMatches } from "./secrets.ts";
import type { EdgeStore } from "./store.ts";
import { cleanText, type JsonObject, toJson } from "./values.ts";

/** Who is told what edges do; the push driver is. */
export interface RegistryListener {
  /** An edge registered. Returns whether an upgrade of it is under way, and so judged there. */
  registered(edgeId: bigint, registration: Registration, reportJson: string): boolean;
  /** An edge is connected again and did not register: the same process as before. */
  returned(edgeId: bigint): void;
}

/** Texts that existing agents act upon, by dropping the connection and coming back: keep exactly. */
const NOT_BOUND = "heartbeat: edge binding not ready; re-register required";
const ID_MISMATCH = "heartbeat: edge id mismatch";
const UNKNOWN_EDGE = "register_edge: get edge: not found";

/** One text for every refusal, so that it tells nothing about which edges there are. */
const UNAUTHORIZED = "unauthorized";

const MAX_METHOD_CHARS = 64;

/** What the registry works with. */
export interface RegistryOptions {
  edges: EdgeStore;
  effects: Effects;
  log: Log;
}

interface Connection {
  /** The remote address; tells several connections of one edge apart. */
  readonly address: string;
  /**
   * Whether the edge has called over it. Before that the broker may not have let it in yet, and a
   * call to it would find nobody.
   */
  ready: boolean;
}

/**
 * Knows which edges there are and which are connected: the answering side of the gateway.
 *
 * An edge's identity is its enrolled secret. It is checked before the edge gets its id and again
 * when the connection is announced, together with the id: a broker lets a client claim any id,
 * and only this second check keeps one edge from passing for another.
 */
export class EdgeRegistry implements GatewayHandlers {
  readonly #options: RegistryOptions;
  /** The current connection of each edge. */
  readonly #connections = new Map<bigint, Connection>();
  readonly #staging = new Map<bigint, StagingProgress>();
  readonly #waiting = new Map<bigint, Set<() => void>>();
  readonly #writing = new Set<Promise<void>>();
  #listener: RegistryListener | undefined;
  #closed = false;

  constructor(options: RegistryOptions) {
    this.#options = options;
  }

  /** Names the one who is told what edges do. */
  listen(listener: RegistryListener): void {
    this.#listener = listener;
  }

  /** Whether the edge is connected now. */
  isOnline(edgeId: bigint): boolean {
    return this.#connections.has(edgeId);
  }

  /** Whether the edge is connected now and has called, so that it can be called. */
  isReady(edgeId: bigint): boolean {
    return this.#connections.get(edgeId)?.ready ?? false;
  }

  /** How far the edge is with staging a bundle, by its last heartbeat. */
  staging(edgeId: bigint): StagingProgress | undefined {
    return this.#staging.get(edgeId);
  }

  /** Resolves when the edge can be called, at the latest after `ms`; whether it can. */
  async whenReady(edgeId: bigint, ms: number): Promise<boolean> {
    if (ms <= 0 || this.isReady(edgeId)) return this.isReady(edgeId);
    const waiting = this.#waiting.get(edgeId) ?? new Set();
    this.#waiting.set(edgeId, waiting);
    await new Promise<void>((resolve) => {
      const timer = this.#options.effects.setTimer(ms, resume);
      waiting.add(resume);
      function resume() {
        timer.clear();
        waiting.delete(resume);
        resolve();
      }
    });
    if (waiting.size === 0) this.#waiting.delete(edgeId);
    return this.isReady(edgeId);
  }

  /**
   * Ends all waiting, and resolves when what was to be written is written. Edges that go from now
   * on go with the manager, which notes all of them at once.
   */
  async close(): Promise<void> {
    this.#closed = true;
    for (const edgeId of [...this.#waiting.keys()]) this.#wake(edgeId);
    await Promise.all(this.#writing);
  }

  async getEdgeId(meta: Uint8Array): Promise<bigint> {
    return await this.#answering("get_edge_id", async () => (await this.#authenticate(meta)).id);
  }

  async edgeOnline(peer: EdgePeer): Promise<void> {
    await this.#answering("edge_online", () => this.#admit(peer));
  }

  async #admit(peer: EdgePeer): Promise<void> {
    const edge = await this.#authenticate(peer.meta);
    if (edge.id !== peer.edgeId) {
      this.#options.log.warn(
        `edge ${edge.id} (${edge.name}) at ${peer.address} claimed to be edge ${peer.edgeId}`,
      );
      throw new OngridError(UNAUTHORIZED);
    }
    const now = this.#options.effects.now();
    // Before it counts as connected: nobody would announce the end of a connection that failed here.
    await this.#options.edges.setOnline(edge.id, { address: peer.address, now });
    this.#connections.set(edge.id, { address: peer.address, ready: false });
    this.#options.log.info(`edge ${edge.id} (${edge.name}) online from ${peer.address}`);
  }

  edgeOffline(peer: EdgePeer): void {
    // The edge has come back on another connection before the broker noticed the end of this one.
    if (this.#connections.get(peer.edgeId)?.address !== peer.address) return;
    this.#connections.delete(peer.edgeId);
    this.#staging.delete(peer.edgeId);
    this.#options.log.info(`edge ${peer.edgeId} offline`);
    if (this.#closed) return;
    const writing = this.#storeOffline(peer).finally(() => this.#writing.delete(writing));
    this.#writing.add(writing);
  }

  async call(edgeId: bigint, method: string, body: Uint8Array): Promise<Uint8Array> {
    const what = `${cleanText(method, MAX_METHOD_CHARS)} of edge ${edgeId}`;
    const answer = await this.#answering(what, () => this.#answer(edgeId, method, body));
    return new TextEncoder().encode(toJson(answer));
  }

  /** Answers an edge. What goes wrong in here is for the log: it may name paths, queries or worse. */
  async #answering<T>(what: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (e) {
      if (e instanceof OngridError && e.cause === undefined) throw e;
      this.#options.log.error(`Cannot answer ${what}: ${describeError(e).message}`);
      throw new OngridError("internal error; the manager's log says more");
    }
  }

  async #answer(edgeId: bigint, method: string, body: Uint8Array): Promise<JsonObject> {
    switch (method) {
      case "register_edge":
        return await this.#register(edgeId, body);
      case "heartbeat":
        return await this.#heartbeat(edgeId, body);
      case "get_plugin_configs":
        decodeBody(body, "get_plugin_configs: decode");
        return { edge_id: edgeId, configs: {} };
    }
    const name = cleanText(method, MAX_METHOD_CHARS);
    // Telemetry is not this manager's; it is taken so that agents do not keep and resend it.
    if (method.startsWith("push_")) return { accepted: countBatch(body, name) };
    throw new OngridError(`no such rpc: ${name}`);
  }

  async #register(edgeId: bigint, body: Uint8Array): Promise<JsonObject> {
    const registration = decodeRegistration(body);
    const before = this.isOnline(edgeId) ? await this.#options.edges.get(edgeId) : undefined;
    // Without an announced connection the id has not been checked against a secret.
    if (before === undefined) throw new OngridError(UNKNOWN_EDGE);
    const now = this.#options.effects.now();
    const report = registration.report === undefined ? "" : toJson(registration.report);
    const { agentVersion, host } = registration;
    await this.#options.edges.register(edgeId, { agentVersion, host, report, now });
    this.#options.log.info(
      `edge ${edgeId} (${before.name}) registered: ${agentVersion || "no version"} on ` +
        `${host.hostname || "unnamed host"} (${host.os}/${host.arch})`,
    );
    this.#becomesReady(edgeId);
    const judged = this.#listener?.registered(edgeId, registration, report) ?? false;
    if (!judged) await this.#noteReport(before, registration, report);
    return { edge_id: edgeId, server_time: Math.floor(now / 1000) };
  }

  /** Keeps what an edge says of an upgrade nobody here pushed: one staged by hand, or a late end. */
  async #noteReport(before: EdgeRecord, registration: Registration, json: string): Promise<void> {
    const { report, agentVersion } = registration;
    if (report === undefined || json === before.report) return;
    const { version, reason } = report;
    const isRunning = sameRelease(version, agentVersion) &&
      (report.state === "armed" || report.state === "settled");
    const wentWrong = report.state === "rolled_back" || report.state === "refused";
    if (!isRunning && !wentWrong) return;
    const state = isRunning ? "healthy" : report.state;
    const known = before.lastUpgrade;
    if (known?.version === version && known.state === state) return;
    const at = this.#options.effects.now();
    await this.#options.edges.setLastUpgrade(before.id, { version, state, reason, at });
    this.#options.log.info(
      `edge ${before.id} (${before.name}) reports its upgrade to ${version}: ${state}` +
        (reason === "" ? "" : `: ${reason}`),
    );
  }

  async #heartbeat(edgeId: bigint, body: Uint8Array): Promise<JsonObject> {
    const heartbeat = decodeHeartbeat(body);
    if (!this.isOnline(edgeId)) throw new OngridError(NOT_BOUND);
    if (heartbeat.edgeId !== undefined && heartbeat.edgeId !== edgeId) {
      throw new OngridError(ID_MISMATCH);
    }
    const known = await this.#options.edges.touch(edgeId, this.#options.effects.now());
    if (!known) throw new OngridError(NOT_BOUND);
    if (this.#becomesReady(edgeId)) this.#listener?.returned(edgeId);
    if (heartbeat.staging === undefined) this.#staging.delete(edgeId);
    else this.#staging.set(edgeId, heartbeat.staging);
    return {};
  }

  async #authenticate(meta: Uint8Array): Promise<{ id: bigint; name: string }> {
    const { accessKey, secret } = decodeMeta(meta);
    const known = accessKey.length <= MAX_SECRET_CHARS && secret.length <= MAX_SECRET_CHARS
      ? await this.#options.edges.findCredentials(accessKey)
      : undefined;
    if (known === undefined || !secretMatches(secret, known.secretHash)) {
      this.#options.log.warn(
        known === undefined
          ? "refused an edge with an unknown access key"
          : `refused edge ${known.id} (${known.name}): wrong secret key`,
      );
      throw new OngridError(UNAUTHORIZED);
    }
    return known;
  }

  async #storeOffline({ edgeId, address }: EdgePeer): Promise<void> {
    try {
      const now = this.#options.effects.now();
      await this.#options.edges.setOffline(edgeId, { address, now });
    } catch (e) {
      this.#options.log.error(`Cannot store that edge ${edgeId} went: ${describeError(e).message}`);
    }
  }

  /** Notes the first call over a connection; whether it was the first. */
  #becomesReady(edgeId: bigint): boolean {
    const connection = this.#connections.get(edgeId);
    if (connection === undefined || connection.ready) return false;
    connection.ready = true;
    this.#wake(edgeId);
    return true;
  }

  #wake(edgeId: bigint): void {
    const waiting = this.#waiting.get(edgeId);
    this.#waiting.delete(edgeId);
    for (const resume of [...waiting ?? []]) resume();
  }
}
