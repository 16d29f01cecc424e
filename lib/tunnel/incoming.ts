import { describeError } from "../cli/errors.ts";
import { deadlineMs } from "./body.ts";
import { type Clock, MAX_TIMER_MS } from "./clock.ts";
import type { CallContext } from "./handler.ts";
import { type DataBody, MAIN_SESSION, type RequestPacket, type ResponsePacket } from "./packet.ts";
import type { PacketLink } from "./outgoing.ts";

const decoder = new TextDecoder();
const NO_BYTES = new Uint8Array(0);

/** Of a method name that is not known, at most this many characters are sent back. */
const MAX_ECHOED_NAME = 256;

/** Answers calls: method, body, context, and the caller's routing bytes if there are any. */
export type Dispatch = (
  method: string,
  body: Uint8Array,
  context: CallContext,
  custom: Uint8Array | undefined,
) => Promise<Uint8Array>;

/** How {@linkcode IncomingCalls} behaves; one object may serve many connections. */
export interface IncomingSettings {
  readonly clock: Clock;
  readonly limits: {
    /** Most calls of the peer that are handled at a time. */
    readonly incomingCalls: number;
    /** Most bytes of bodies of the peer's calls that are handled at a time. */
    readonly incomingBytes: number;
  };
  /** How long a handler may take, ms; the answer is `timeout` then. Default: no limit. */
  readonly limitMs?: number;
  /**
   * What happens when the context is aborted. `wait`: the handler decides what is answered, as on
   * the side that does the work. `answer`: the caller gets the reason at once, as from a broker,
   * and what the handler comes to is dropped.
   */
  readonly onAbort: "wait" | "answer";
}

interface Running {
  readonly bytes: number;
  readonly abort: AbortController;
}

/** The answering half of a session: calls made by the peer, handled here, concurrently. */
export class IncomingCalls {
  readonly #settings: IncomingSettings;
  readonly #link: PacketLink;
  readonly #dispatch: Dispatch;
  readonly #running = new Map<bigint, Running>();
  #bytes = 0;
  #idle: (() => void)[] = [];
  #closed = false;

  constructor(settings: IncomingSettings, link: PacketLink, dispatch: Dispatch) {
    this.#settings = settings;
    this.#link = link;
    this.#dispatch = dispatch;
  }

  /** Handles a request packet; never throws, never rejects. */
  take(packet: RequestPacket): void {
    if (this.#closed) return;
    const bytes = packet.body.value?.length ?? 0;
    const { incomingCalls, incomingBytes } = this.#settings.limits;
    if (this.#running.has(packet.packetId)) {
      this.#answer(packet, { error: "duplicate request id" });
    } else if (this.#running.size >= incomingCalls || this.#bytes + bytes > incomingBytes) {
      this.#answer(packet, { error: "too many requests at once" });
    } else {
      this.#run(packet, bytes);
    }
  }

  /** The caller has given a request up. */
  cancel(packetId: bigint): void {
    this.#running.get(packetId)?.abort.abort(new Error("context canceled"));
  }

  /** Resolves when no handler is running and all answers are queued. */
  idle(): Promise<void> {
    if (this.#running.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  /** No request is taken any more, and those that run are told that nobody waits for them. */
  close(): void {
    this.#closed = true;
    for (const { abort } of [...this.#running.values()]) abort.abort(new Error("force closed"));
  }

  async #run(packet: RequestPacket, bytes: number): Promise<void> {
    const running: Running = { bytes, abort: new AbortController() };
    this.#running.set(packet.packetId, running);
    this.#bytes += bytes;
    const stopTimers = this.#startTimers(packet.body, running.abort);
    let answer: DataBody;
    try {
      answer = { value: await this.#handle(packet.body, running.abort.signal) };
    } catch (error) {
      answer = { error: errorText(error) };
    } finally {
      stopTimers();
    }
    await this.#link.writable();
    this.#answer(packet, answer);
    this.#running.delete(packet.packetId);
    this.#bytes -= bytes;
    if (this.#running.size === 0) this.#wake();
  }

  async #handle(body: DataBody, signal: AbortSignal): Promise<Uint8Array> {
    const method = decoder.decode(body.key ?? NO_BYTES);
    const deadline = deadlineOf(body);
    const context: CallContext = deadline === undefined
      ? { signal }
      : { signal, deadline: new Date(deadline) };
    const value = body.value ?? NO_BYTES;
    if (this.#settings.onAbort === "wait") {
      return await this.#dispatch(method, value, context, body.custom);
    }
    signal.throwIfAborted();
    const { promise, reject } = Promise.withResolvers<never>();
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    return await Promise.race([
      this.#dispatch(method, value, context, body.custom),
      promise,
    ]);
  }

  #startTimers(body: DataBody, abort: AbortController): () => void {
    const { clock, limitMs } = this.#settings;
    const stops: (() => void)[] = [];
    const at = deadlineOf(body);
    if (at !== undefined) {
      const ms = at - clock.wall();
      const late = () => abort.abort(new Error("context deadline exceeded"));
      if (ms <= 0) late();
      else if (ms <= MAX_TIMER_MS) stops.push(clock.after(ms, late));
    }
    if (limitMs !== undefined) {
      stops.push(clock.after(limitMs, () => abort.abort(new Error("timeout"))));
    }
    return () => stops.forEach((stop) => stop());
  }

  #answer(request: RequestPacket, body: DataBody): void {
    const key = request.body.key;
    const named = key === undefined || key.length > MAX_ECHOED_NAME ? body : { key, ...body };
    const response = (content: DataBody): ResponsePacket => ({
      type: "Response",
      packetId: request.packetId,
      sessionId: MAIN_SESSION,
      body: content,
    });
    try {
      this.#link.send(response(named));
    } catch (error) {
      // The answer is longer than a packet may be; the caller must hear that, not wait.
      this.#link.send(response({ error: errorText(error).slice(0, MAX_ECHOED_NAME) }));
    }
  }

  #wake(): void {
    const idle = this.#idle;
    this.#idle = [];
    for (const wake of idle) wake();
  }
}

/** The error that a peer answers for a method that it does not have. */
export function noSuchMethod(method: string): Error {
  return new Error(`no such rpc: ${method.slice(0, MAX_ECHOED_NAME)}`);
}

/** The earlier of the two deadlines that a request can carry, ms since 1970. */
function deadlineOf(body: DataBody): number | undefined {
  const times = [body.deadline, body.contextDeadline]
    .filter((text) => text !== undefined)
    .map(deadlineMs);
  return times.length === 0 ? undefined : Math.min(...times);
}

/** The message alone, verbatim; an empty one would read as success on the other side. */
function errorText(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text === "" ? describeError(error).message : text;
}
