import { ProtocolError, RemoteError } from "../../../lib/cli/errors.ts";
import {
  CALL_FORCE_CLOSED,
  EDGE_NOT_ONLINE,
  type GatewayHandlers,
} from "../../../lib/tunnel/gateway.ts";
import type { ManagerGateway } from "../../../lib/fleet/manager.ts";
import type { JsonObject } from "../../../lib/fleet/values.ts";

/** A call an edge got. */
export interface SeenCall {
  method: string;
  body: JsonObject;
}

/** How an edge answers a call; what it throws goes back as an error. */
export type Answer = (body: JsonObject) => JsonObject | Promise<JsonObject>;

const HOST = {
  hostname: "host",
  os: "linux",
  arch: "amd64",
  kernel_version: "6.1",
  cpu_count: 2,
  mem_total_bytes: 1024,
};

/** A gateway in memory: what a broker does, without a wire. */
export class FakeGateway implements ManagerGateway {
  readonly handlers: GatewayHandlers;
  readonly edges = new Map<bigint, FakeEdge>();
  #connections = 0;

  constructor(handlers: GatewayHandlers) {
    this.handlers = handlers;
  }

  /** A new connection's address. */
  nextAddress(): string {
    return `192.0.2.1:${++this.#connections}`;
  }

  async call(edgeId: bigint, method: string, body: Uint8Array): Promise<Uint8Array> {
    const edge = this.edges.get(edgeId);
    if (edge === undefined) throw new RemoteError(EDGE_NOT_ONLINE);
    return await edge.answer(method, body);
  }

  kick(edgeId: bigint): Promise<void> {
    this.edges.get(edgeId)?.disconnect();
    return Promise.resolve();
  }

  close(): Promise<void> {
    for (const edge of [...this.edges.values()]) edge.disconnect();
    return Promise.resolve();
  }
}

/** An edge in memory. It behaves like an agent that upgrades well, unless told otherwise. */
export class FakeEdge {
  readonly calls: SeenCall[] = [];
  readonly credentials: { access_key: string; secret_key: string };
  host: JsonObject = HOST;
  version: string;
  /** Sent with the next registration. */
  report: JsonObject | undefined;
  /** What the edge does with a call; replaceable. */
  readonly answers: Record<string, Answer> = {
    fetch_package: (body) => this.stage(body),
    apply_package: () => {
      queueMicrotask(() => void this.restart(this.staged));
      return { accepted: true };
    },
  };
  staged = "";
  id = 0n;
  #gateway: FakeGateway | undefined;
  #address = "";
  #gone = Promise.withResolvers<never>();

  constructor(credentials: { access_key: string; secret_key: string }, version: string) {
    this.credentials = credentials;
    this.version = version;
  }

  get meta(): Uint8Array {
    return new TextEncoder().encode(JSON.stringify(this.credentials));
  }

  /** How often a method was called. */
  count(method: string): number {
    return this.calls.filter((call) => call.method === method).length;
  }

  /** Connects as the broker would announce it, and registers. */
  async connect(gateway: FakeGateway): Promise<void> {
    await this.attach(gateway);
    await this.register();
  }

  /** Connects without registering. */
  async attach(gateway: FakeGateway): Promise<void> {
    this.id = await gateway.handlers.getEdgeId(this.meta);
    this.#address = gateway.nextAddress();
    await gateway.handlers.edgeOnline(this.#peer());
    this.#gone = Promise.withResolvers();
    this.#gone.promise.catch(() => {});
    this.#gateway = gateway;
    gateway.edges.set(this.id, this);
  }

  /** Calls `register_edge`. */
  async register(): Promise<JsonObject> {
    return await this.call("register_edge", {
      access_key: "",
      secret_key: "",
      host_info: this.host,
      agent_version: this.version,
      ...(this.report === undefined ? {} : { upgrade: this.report }),
    });
  }

  /** Calls the manager. */
  async call(method: string, body: unknown): Promise<JsonObject> {
    const gateway = this.#gateway;
    if (gateway === undefined) throw new Error("not connected");
    const bytes = new TextEncoder().encode(JSON.stringify(body));
    const context = { signal: new AbortController().signal };
    const reply = await gateway.handlers.call(this.id, method, bytes, context);
    return JSON.parse(new TextDecoder().decode(reply));
  }

  /** Loses the connection: calls under way end as the broker ends them. */
  disconnect(): void {
    const gateway = this.#gateway;
    if (gateway === undefined) return;
    this.#gateway = undefined;
    gateway.edges.delete(this.id);
    this.#gone.reject(new ProtocolError(CALL_FORCE_CLOSED, { kind: "closed" }));
    gateway.handlers.edgeOffline(this.#peer());
  }

  /** Goes and comes back with a version. */
  async restart(version: string): Promise<void> {
    const gateway = this.#gateway;
    if (gateway === undefined) return;
    this.disconnect();
    this.version = version;
    await this.connect(gateway);
  }

  /** Stages what a call asks for. */
  stage(body: JsonObject): JsonObject {
    this.staged = String(body.version);
    return { staged_path: "/s/incoming", bytes: 7, manifest_files: 3, version: this.staged };
  }

  async answer(method: string, bytes: Uint8Array): Promise<Uint8Array> {
    const body: JsonObject = JSON.parse(new TextDecoder().decode(bytes));
    this.calls.push({ method, body });
    const answer = this.answers[method];
    if (answer === undefined) throw new RemoteError(`no such rpc: ${method}`);
    const reply = await Promise.race([this.#gone.promise, answer(body)]);
    return new TextEncoder().encode(JSON.stringify(reply));
  }

  #peer() {
    return { edgeId: this.id, meta: this.meta, net: "tcp", address: this.#address };
  }
}
