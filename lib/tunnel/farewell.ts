import { MAIN_SESSION, type Packet, RET_OK } from "./packet.ts";
import type { PacketIds } from "./packet_id.ts";

/** What a {@linkcode Farewell} needs to know. */
export interface FarewellOptions {
  readonly ids: PacketIds;
  readonly send: (packet: Packet) => void;
  /** Called once when either side has begun to leave. */
  readonly onBegin: () => void;
  /** Called once when both sides have said and acknowledged all: the socket may be closed. */
  readonly onDone: () => void;
}

/**
 * The orderly end of a connection, the same on both sides: Dismiss of the main session each way,
 * each acknowledged; then DisConn each way, each acknowledged. Either side may begin, both may at
 * once, and a peer may leave the Dismiss part out. A peer whose Dismiss or DisConn is not answered
 * keeps its connection for half a minute or for ever, so everything is answered.
 */
export class Farewell {
  readonly #options: FarewellOptions;
  #begun = false;
  #done = false;
  #began = false;
  #dismissSent = false;
  #dismissAcked = false;
  #dismissReceived = false;
  #disconnectSent = false;
  #disconnectAcked = false;
  #disconnectReceived = false;

  constructor(options: FarewellOptions) {
    this.#options = options;
  }

  /** Whether either side has begun to leave. */
  get begun(): boolean {
    return this.#begun;
  }

  /** Begins to leave, in the full order. */
  begin(): void {
    this.#began = true;
    this.#note();
    this.#dismiss();
  }

  /** Begins to leave without dismissing the session: for a peer that never had one. */
  disconnect(): void {
    this.#began = true;
    this.#note();
    this.#sendDisconnect();
  }

  /** Takes a packet of the peer; false when it is none of the farewell's. */
  receive(packet: Packet): boolean {
    switch (packet.type) {
      case "Dismiss":
        this.#takeDismiss(packet.packetId, packet.sessionId);
        return true;
      case "DismissAck":
        if (packet.sessionId === MAIN_SESSION) this.#dismissAcked = true;
        break;
      case "DisConn":
        this.#disconnectReceived = true;
        this.#note();
        this.#send({ type: "DisConnAck", packetId: packet.packetId, ret: RET_OK, body: {} });
        this.#sendDisconnect();
        break;
      case "DisConnAck":
        this.#disconnectAcked = true;
        break;
      default:
        return false;
    }
    this.#proceed();
    return true;
  }

  #takeDismiss(packetId: bigint, sessionId: bigint): void {
    const ack: Packet = { type: "DismissAck", packetId, sessionId, body: {} };
    if (sessionId !== MAIN_SESSION) return this.#send(ack);
    this.#dismissReceived = true;
    this.#note();
    this.#send(ack);
    this.#dismiss();
    this.#proceed();
  }

  #dismiss(): void {
    if (this.#dismissSent || this.#disconnectSent) return;
    this.#dismissSent = true;
    const packetId = this.#options.ids.next();
    this.#send({ type: "Dismiss", packetId, sessionId: MAIN_SESSION, body: {} });
  }

  /** The side that began goes on to DisConn; the other one waits for it. */
  #proceed(): void {
    if (this.#began && this.#dismissAcked && this.#dismissReceived) this.#sendDisconnect();
    if (this.#done || !this.#disconnectReceived || !this.#disconnectAcked) return;
    this.#done = true;
    this.#options.onDone();
  }

  #sendDisconnect(): void {
    if (this.#disconnectSent) return;
    this.#disconnectSent = true;
    this.#send({ type: "DisConn", packetId: this.#options.ids.next() });
  }

  #send(packet: Packet): void {
    this.#options.send(packet);
  }

  #note(): void {
    if (this.#begun) return;
    this.#begun = true;
    this.#options.onBegin();
  }
}
