import { RemoteError } from "../cli/errors.ts";
import { ClientLink } from "./client_link.ts";
import { type Clock, systemClock } from "./clock.ts";
import { dial, type DialOptions } from "./dial.ts";
import type { CallContext, CallOptions, Handler } from "./handler.ts";
import { noSuchMethod } from "./incoming.ts";

export type { CallContext, CallOptions, Handler };

/** How an edge connects. */
export interface EdgeOptions extends DialOptions {
  /** What the edge introduces itself with: JSON of its access key and secret key. */
  readonly meta: Uint8Array;
  /** The methods that the manager can call. */
  readonly methods: Readonly<Record<string, Handler>>;
  /** Gives the attempt up; once connected, leaves in order. */
  readonly signal?: AbortSignal;
  /** Interval of heartbeats, ms. Default 20 000, as existing edges have it. */
  readonly heartbeatMs?: number;
  /** Time; for tests, and for hosts whose wall clock is known to be wrong. */
  readonly clock?: Clock;
}

/** A connection of an edge to its manager. */
export interface EdgeConnection {
  /** The id that the manager knows this edge by. */
  readonly edgeId: bigint;
  /**
   * Calls a method of the manager. A broker acknowledges a connection shortly before it forwards
   * calls and answers `no such rpc: <method>` in between, so a call made in the first second is
   * repeated a few times when it gets that answer.
   *
   * @throws {RemoteError} the text that the manager answered
   * @throws {ProtocolError} `timeout`, `closed` or `refused` (too many calls at once)
   */
  call(method: string, body: Uint8Array, options?: CallOptions): Promise<Uint8Array>;
  /** Resolves when the connection is over, whoever ended it. */
  readonly closed: Promise<{ reason: string }>;
  /**
   * Leaves in order: answers of handlers that finish about now are written first. Takes two
   * seconds at most. A handler must not wait for it, as it waits for the handler.
   */
  close(): Promise<void>;
}

/** For how long after the acceptance `no such rpc` may mean "not yet", ms. */
const RACE_WINDOW_MS = 1_000;

/** Pauses before such a call is repeated, ms. */
const RACE_PAUSES_MS = [20, 40, 80, 160, 320];

/**
 * Connects an edge: introduces it, waits to be accepted, announces its methods.
 *
 * @throws {ProtocolError} kind `refused` when the broker or the manager turns the edge down, with
 * their text as the message (`unauthorized`, …); `closed`, `timeout` and `protocol` as they say
 */
export async function connectEdge(options: EdgeOptions): Promise<EdgeConnection> {
  const { meta, heartbeatMs, signal } = options;
  const clock = options.clock ?? systemClock;
  const methods = new Map(Object.entries(options.methods));
  const transport = await dial(options, clock);
  const link = new ClientLink(transport, {
    clock,
    meta,
    methods: [...methods.keys()],
    dispatch: async (method, body, context) => {
      const handler = methods.get(method);
      if (handler === undefined) throw noSuchMethod(method);
      return await handler(body, context);
    },
    heartbeatMs,
    signal,
  });
  await link.enter();
  return new EdgeClient(link, clock);
}

class EdgeClient implements EdgeConnection {
  readonly #link: ClientLink;
  readonly #clock: Clock;

  constructor(link: ClientLink, clock: Clock) {
    this.#link = link;
    this.#clock = clock;
  }

  get edgeId(): bigint {
    return this.#link.clientId;
  }

  get closed(): Promise<{ reason: string }> {
    return this.#link.closed;
  }

  async call(method: string, body: Uint8Array, options?: CallOptions): Promise<Uint8Array> {
    const early = this.#link.age < RACE_WINDOW_MS;
    for (const pause of early ? RACE_PAUSES_MS : []) {
      try {
        return await this.#link.session.call(method, body, options);
      } catch (error) {
        const notYet = error instanceof RemoteError &&
          error.message === noSuchMethod(method).message;
        if (!notYet) throw error;
      }
      await new Promise<void>((resolve) => this.#clock.after(pause, resolve));
    }
    return await this.#link.session.call(method, body, options);
  }

  async close(): Promise<void> {
    await this.#link.close();
  }
}
