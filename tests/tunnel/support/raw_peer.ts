import type { Transport } from "../../../lib/tunnel/connection.ts";
import { encodePacket } from "../../../lib/tunnel/codec.ts";
import type { Packet, PacketType } from "../../../lib/tunnel/packet.ts";
import { PacketReader } from "../../../lib/tunnel/reader.ts";
import { soon, until } from "./until.ts";

type OfType<T extends PacketType> = Extract<Packet, { type: T }>;

/** The other end of a connection, packet by packet: it does nothing by itself. */
export class RawPeer {
  readonly #conn: Transport;
  readonly #pump: Promise<void>;
  /** What came and was not taken yet. */
  readonly inbox: Packet[] = [];
  /** Whether the other side has closed. */
  ended = false;
  #nextId = 0x6b00_0000_0000_0001n;

  constructor(conn: Transport) {
    this.#conn = conn;
    this.#pump = this.#read();
  }

  static async connect(port: number): Promise<RawPeer> {
    return new RawPeer(await Deno.connect({ hostname: "127.0.0.1", port }));
  }

  /** An id that was not used yet. */
  id(): bigint {
    return this.#nextId += 2n;
  }

  async send(...packets: Packet[]): Promise<void> {
    for (const packet of packets) await this.sendBytes(encodePacket(packet));
  }

  async sendBytes(bytes: Uint8Array): Promise<void> {
    let offset = 0;
    while (offset < bytes.length) offset += await this.#conn.write(bytes.subarray(offset));
  }

  /** The next packet that came. */
  async next(): Promise<Packet> {
    await until("a packet", () => this.inbox.length > 0 || this.ended);
    const packet = this.inbox.shift();
    if (packet === undefined) throw new Error("the connection ended instead of a packet");
    return packet;
  }

  /** The next packet, which must be of this type. */
  async expect<T extends PacketType>(type: T): Promise<OfType<T>> {
    const packet = await this.next();
    if (packet.type !== type) throw new Error(`expected ${type}, got ${packet.type}`);
    return packet as OfType<T>;
  }

  /** Resolves when the other side has closed. */
  async end(): Promise<void> {
    await until("the end of the connection", () => this.ended);
  }

  /** Introduces itself as an edge and waits to be let in; the edge id. */
  async enter(meta: Uint8Array, flags = 0x18, wantedId = 0n): Promise<bigint> {
    await this.send({ type: "Conn", packetId: this.id(), flags, wantedId, body: { meta } });
    const ack = await this.expect("ConnAck");
    if (ack.ret !== 0) throw new Error(ack.body.error);
    return ack.clientId;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
    await soon("the raw peer's end", this.#pump);
  }

  close(): void {
    if (this.#open) this.#conn.close();
    this.#open = false;
  }

  #open = true;

  async #read(): Promise<void> {
    const reader = new PacketReader();
    const buffer = new Uint8Array(64 * 1024);
    try {
      for (;;) {
        const count = await this.#conn.read(buffer);
        if (count === null) break;
        for (const packet of reader.read(buffer.subarray(0, count))) this.inbox.push(packet);
      }
    } catch (error) {
      const lost = error instanceof Deno.errors.ConnectionReset ||
        error instanceof Deno.errors.BadResource || error instanceof Deno.errors.Interrupted;
      if (!lost) throw error;
    } finally {
      this.ended = true;
    }
  }
}
