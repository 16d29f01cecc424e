import { RemoteError } from "../cli/errors.ts";
import { EdgeLink, type EdgeLinkSettings, type EdgeRegistry } from "./broker_conn.ts";
import { type BrokerLimits, DEFAULT_BROKER_LIMITS } from "./broker_limits.ts";
import { type Clock, systemClock } from "./clock.ts";
import { EDGE_NOT_ONLINE, type EdgeGateway, type GatewayHandlers } from "./gateway.ts";
import type { CallOptions } from "./handler.ts";
import { type Arrival, listen, type Listener } from "./listener.ts";
import { PacketIds } from "./packet_id.ts";

/** How a broker is started. */
export interface BrokerOptions {
  readonly hostname: string;
  /** 0 picks a free one. */
  readonly port: number;
  readonly handlers: GatewayHandlers;
  /** Certificate chain and key, PEM. Absent: plain TCP, as existing edges speak it. */
  readonly tls?: { readonly cert: string; readonly key: string };
  readonly limits?: Partial<BrokerLimits>;
  /**
   * Whether a call that its caller gives up is taken back on the wire. Default false: edges with
   * older libraries drop the connection when they see that packet.
   */
  readonly sendCancel?: boolean;
  /** Told what went wrong where no caller is: accepting, callbacks that throw. */
  readonly warn?: (message: string) => void;
  /** Time; for tests. */
  readonly clock?: Clock;
}

/** A running broker. */
export interface EdgeBroker extends EdgeGateway {
  /** Where it listens. */
  readonly port: number;
  /** Connections, those that are not let in yet included. */
  readonly connections: number;
  /** Sends an edge away in order; false when it is not connected. */
  kick(edgeId: bigint): Promise<boolean>;
}

/** All connections are looked at this often, by one timer, ms. */
const SWEEP_MS = 1_000;

/**
 * Starts a broker in this process: edges connect to it as they do to frontier's edge port.
 *
 * @throws {OngridError} when the port cannot be listened on or the certificate cannot be used
 */
export async function startBroker(options: BrokerOptions): Promise<EdgeBroker> {
  const broker = new Broker(options);
  await broker.open();
  return broker;
}

/** Connections from one address. */
interface Neighbours {
  readonly host: string;
  all: number;
  undecided: number;
}

class Broker implements EdgeBroker, EdgeRegistry {
  readonly #options: BrokerOptions;
  readonly #clock: Clock;
  readonly #limits: BrokerLimits;
  readonly #settings: EdgeLinkSettings;
  readonly #links = new Map<EdgeLink, Neighbours>();
  readonly #perAddress = new Map<string, Neighbours>();
  readonly #edges = new Map<bigint, EdgeLink>();
  readonly #turns = new Map<bigint, Promise<void>>();
  #listener: Listener | undefined;
  #stopSweep: () => void = () => {};
  #closed = false;

  constructor(options: BrokerOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#limits = { ...DEFAULT_BROKER_LIMITS, ...options.limits };
    this.#settings = {
      clock: this.#clock,
      ids: new PacketIds(() => this.#clock.wall()),
      maxPayloadBytes: this.#limits.handshakeBytes,
      maxQueuedBytes: this.#limits.queuedBytes,
      limits: this.#limits,
      limitMs: this.#limits.handlerMs,
      onAbort: "answer",
      deadlines: true,
      sendCancel: options.sendCancel ?? false,
      messageError: "topic not online",
      handlers: options.handlers,
      registry: this,
      warn: (message) => this.#warn(message),
    };
  }

  async open(): Promise<void> {
    const { hostname, port, tls } = this.#options;
    this.#listener = await listen({
      hostname,
      port,
      tls,
      clock: this.#clock,
      onArrival: (arrival) => this.#take(arrival),
      warn: (message) => this.#warn(message),
    });
    this.#stopSweep = this.#clock.after(SWEEP_MS, () => this.#sweep());
  }

  get port(): number {
    return this.#listener?.port ?? this.#options.port;
  }

  get connections(): number {
    return this.#links.size;
  }

  async call(
    edgeId: bigint,
    method: string,
    body: Uint8Array,
    options?: CallOptions,
  ): Promise<Uint8Array> {
    const link = this.#edges.get(edgeId);
    if (link === undefined) throw new RemoteError(EDGE_NOT_ONLINE);
    return await link.call(method, body, options);
  }

  async kick(edgeId: bigint): Promise<boolean> {
    const link = this.#edges.get(edgeId);
    await link?.close("sent away");
    return link !== undefined;
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#stopSweep();
    // The port is free only when the connections are gone, so neither waits for the other.
    await Promise.all([
      this.#listener?.close(),
      ...[...this.#links.keys()].map((link) => link.close("the broker stops")),
    ]);
  }

  async exclusive(edgeId: bigint, work: () => Promise<void>): Promise<void> {
    const before = this.#turns.get(edgeId) ?? Promise.resolve();
    const mine = before.then(work);
    // The next one waits for the end of this one, not for its success.
    const turn = mine.catch(() => {});
    this.#turns.set(edgeId, turn);
    try {
      await mine;
    } finally {
      if (this.#turns.get(edgeId) === turn) this.#turns.delete(edgeId);
    }
  }

  decided(link: EdgeLink): void {
    const neighbours = this.#links.get(link);
    if (neighbours !== undefined) neighbours.undecided--;
  }

  enter(edgeId: bigint, link: EdgeLink): void {
    const old = this.#edges.get(edgeId);
    this.#edges.set(edgeId, link);
    old?.replaced();
  }

  leave(edgeId: bigint, link: EdgeLink): void {
    if (this.#edges.get(edgeId) === link) this.#edges.delete(edgeId);
  }

  forget(link: EdgeLink): void {
    const neighbours = this.#links.get(link);
    this.#links.delete(link);
    if (neighbours !== undefined && --neighbours.all === 0) {
      this.#perAddress.delete(neighbours.host);
    }
  }

  #take({ transport, hostname, port }: Arrival): void {
    const host = plainHost(hostname);
    const neighbours = this.#perAddress.get(host) ?? { host, all: 0, undecided: 0 };
    if (this.#closed || !this.#hasRoom(neighbours)) return transport.close();
    const address = host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
    const link = new EdgeLink(transport, address, this.#settings);
    neighbours.all++;
    neighbours.undecided++;
    this.#perAddress.set(host, neighbours);
    this.#links.set(link, neighbours);
    link.start();
  }

  #hasRoom(neighbours: Neighbours): boolean {
    const { connections, connectionsPerAddress, handshakesPerAddress } = this.#limits;
    return this.#links.size < connections && neighbours.all < connectionsPerAddress &&
      neighbours.undecided < handshakesPerAddress;
  }

  #sweep(): void {
    const now = this.#clock.monotonic();
    for (const link of this.#links.keys()) link.sweep(now);
    this.#stopSweep = this.#clock.after(SWEEP_MS, () => this.#sweep());
  }

  #warn(message: string): void {
    this.#options.warn?.(message);
  }
}

/** A listener on all addresses shows IPv4 peers as `::ffff:a.b.c.d`; the manager wants a.b.c.d. */
function plainHost(hostname: string): string {
  return hostname.replace(/^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/, "");
}
