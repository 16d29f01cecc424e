import { ProtocolError } from "../cli/errors.ts";
import type { Clock } from "./clock.ts";
import { Connection, type ConnectionSettings, type Transport } from "./connection.ts";
import { Farewell } from "./farewell.ts";
import type { Packet } from "./packet.ts";
import { Session, type SessionHandlers, type SessionSettings } from "./session.ts";

/** An orderly end takes at most this long, ms; then the socket is closed whatever the peer does. */
export const FAREWELL_LIMIT_MS = 2_000;

/** Of that, how long handlers that still run may take to answer, ms. */
const LAST_ANSWERS_MS = 500;

/** How a {@linkcode Peer} behaves; one object may serve many connections. */
export interface PeerSettings extends ConnectionSettings, SessionSettings {}

/** What a {@linkcode Peer} hands to its owner. */
export interface PeerEvents extends SessionHandlers {
  /**
   * Called once, at once, when the connection is lost, when either side begins to leave, or when
   * it is ended here: no call can be made any more.
   */
  readonly onGone: (why: ProtocolError) => void;
  /** Called once, after that, when the connection is over. */
  readonly onFinished?: () => void;
}

/** One connection with all that runs on it; who connected to whom makes no difference here. */
export class Peer {
  readonly connection: Connection;
  readonly session: Session;
  readonly #clock: Clock;
  readonly #events: PeerEvents;
  readonly #farewell: Farewell;
  #gone = false;
  #stopLimit: (() => void) | undefined;
  #leaving: ProtocolError | undefined;

  constructor(transport: Transport, settings: PeerSettings, events: PeerEvents) {
    this.#clock = settings.clock;
    this.#events = events;
    this.connection = new Connection(transport, settings, {
      onEnd: (why) => this.#end(why),
      onFinished: () => events.onFinished?.(),
    });
    this.session = new Session(settings, this.connection, events);
    this.#farewell = new Farewell({
      ids: settings.ids,
      send: (packet) => this.connection.send(packet),
      onBegin: () => this.#limit(),
      onDone: () => void this.#closeSocket(),
    });
  }

  /** Handles a packet of an established connection. */
  receive(packet: Packet): void {
    if (packet.type === "Heartbeat") {
      this.connection.send({ type: "HeartbeatAck", packetId: packet.packetId });
    } else if (!this.#farewell.receive(packet)) {
      this.session.receive(packet);
    }
  }

  /**
   * Leaves in order, bounded by {@linkcode FAREWELL_LIMIT_MS}: waits shortly for handlers that
   * run, so that their answers go out first, then says goodbye. Resolves when all is closed.
   */
  async close(reason: string): Promise<void> {
    const why = new ProtocolError(reason, { kind: "closed" });
    this.#leaving ??= why;
    this.#limit();
    await this.#lastAnswers();
    this.session.close(why);
    if (!this.#farewell.begun) this.#farewell.begin();
    await this.finished();
  }

  /** As {@linkcode close} for a peer that was refused or is taken for dead: DisConn only. */
  async disconnect(why: ProtocolError): Promise<void> {
    this.#leaving ??= why;
    this.#limit();
    this.session.close(why);
    if (!this.#farewell.begun) this.#farewell.disconnect();
    await this.finished();
  }

  /** Resolves when the connection is over. Never rejects. */
  finished(): Promise<void> {
    return this.connection.finished();
  }

  /** The answers of handlers that finish about now must reach the wire before the goodbye. */
  async #lastAnswers(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const cancel = this.#clock.after(LAST_ANSWERS_MS, resolve);
    await Promise.race([this.session.idle(), promise]);
    cancel();
  }

  /** From the first sign of leaving, by either side, the end is bounded. */
  #limit(): void {
    this.#leaving ??= new ProtocolError("The peer closed the connection", { kind: "closed" });
    this.#notify(this.#leaving);
    this.#stopLimit ??= this.#clock.after(
      FAREWELL_LIMIT_MS,
      () => this.connection.destroy(this.#reason()),
    );
    // Ended before it could be armed: nothing is left to bound.
    if (this.connection.why !== undefined) this.#stopLimit();
  }

  async #closeSocket(): Promise<void> {
    await this.connection.flushed();
    this.connection.destroy(this.#reason());
  }

  #end(why: ProtocolError): void {
    this.#stopLimit?.();
    this.session.close(why);
    this.#notify(this.#leaving ?? why);
  }

  #notify(why: ProtocolError): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#events.onGone(why);
  }

  #reason(): ProtocolError {
    return this.#leaving ?? new ProtocolError("closed", { kind: "closed" });
  }
}
