import type { ProtocolError } from "../cli/errors.ts";
import { type Dispatch, IncomingCalls, type IncomingSettings } from "./incoming.ts";
import {
  OutgoingCalls,
  type OutgoingSettings,
  type PacketLink,
  type SessionCallOptions,
} from "./outgoing.ts";
import { MAIN_SESSION, type Packet, type SessionPacket } from "./packet.ts";

/** Bounds of one session, both directions. */
export type SessionLimits = OutgoingSettings["limits"] & IncomingSettings["limits"];

/**
 * How this side of a session behaves; one object may serve many connections. Neither client nor
 * server is built in.
 */
export interface SessionSettings extends OutgoingSettings, IncomingSettings {
  readonly limits: SessionLimits;
  /** What a message packet is refused with: messages are no part of upgrades. */
  readonly messageError: string;
}

/** What a session hands to its owner. */
export interface SessionHandlers {
  /** Answers the peer's calls. */
  readonly dispatch: Dispatch;
  /** Told of each method that the peer announces. */
  readonly onRegister?: (method: string) => void;
}

/**
 * The main session of a connection: calls in both directions, registrations, and the refusal of
 * what is not supported. Both ends of a connection, and both sides of a broker, use it.
 */
export class Session {
  readonly #settings: SessionSettings;
  readonly #link: PacketLink;
  readonly #handlers: SessionHandlers;
  readonly #outgoing: OutgoingCalls;
  readonly #incoming: IncomingCalls;
  #closed = false;

  constructor(settings: SessionSettings, link: PacketLink, handlers: SessionHandlers) {
    this.#settings = settings;
    this.#link = link;
    this.#handlers = handlers;
    this.#outgoing = new OutgoingCalls(settings, link);
    this.#incoming = new IncomingCalls(settings, link, handlers.dispatch);
  }

  /** Calls a method of the peer, see {@linkcode OutgoingCalls.call}. */
  call(method: string, body: Uint8Array, options?: SessionCallOptions): Promise<Uint8Array> {
    return this.#outgoing.call(method, body, options);
  }

  /** Announces a method to the peer and waits for its acknowledgement. */
  register(method: string, timeoutMs: number): Promise<void> {
    return this.#outgoing.register(method, timeoutMs);
  }

  /**
   * Takes a packet of the peer. Packets of other sessions are dropped, as existing peers do, and
   * all of them once the session is closed.
   */
  receive(packet: Packet): void {
    if (this.#closed) return;
    if ("sessionId" in packet && packet.sessionId !== MAIN_SESSION) return;
    switch (packet.type) {
      case "Request":
        return this.#incoming.take(packet);
      case "RequestCancel":
        return this.#incoming.cancel(packet.packetId);
      case "Response":
      case "RegisterAck":
        return this.#outgoing.answer(packet.packetId, packet.body);
      case "Register":
        return this.#acknowledge(packet.packetId, packet.method);
      case "Message":
        return this.#refuseMessage(packet.packetId);
      case "Session":
        return this.#refuseSession(packet);
    }
  }

  /** Resolves when no handler is running and all answers are queued. */
  idle(): Promise<void> {
    return this.#incoming.idle();
  }

  /**
   * Ends both halves: calls that wait fail with `force closed`, handlers that run learn that
   * nobody waits for them.
   */
  close(why: ProtocolError): void {
    this.#closed = true;
    this.#outgoing.close(why);
    this.#incoming.close();
  }

  #acknowledge(packetId: bigint, method: string): void {
    this.#handlers.onRegister?.(method);
    this.#link.send({ type: "RegisterAck", packetId, sessionId: MAIN_SESSION, body: {} });
  }

  #refuseMessage(packetId: bigint): void {
    this.#link.send({
      type: "MessageAck",
      packetId,
      sessionId: MAIN_SESSION,
      body: { error: this.#settings.messageError },
    });
  }

  /**
   * Existing peers do not look at the error of the acknowledgement: what closes their stream is
   * the dismissal that follows it. They find the stream for it at once only if the session has
   * the id that they proposed, even where they leave the choice to this side.
   */
  #refuseSession({ packetId, negotiateId }: SessionPacket): void {
    const { ids } = this.#settings;
    const sessionId = negotiateId === MAIN_SESSION ? ids.next() : negotiateId;
    const body = { error: "sessions are not supported" };
    this.#link.send({ type: "SessionAck", packetId, negotiateId, sessionId, body });
    this.#link.send({ type: "Dismiss", packetId: ids.next(), sessionId, body: {} });
  }
}
