import { assertEquals } from "@std/assert";
import type { Packet } from "../../../lib/tunnel/packet.ts";
import { FakeClock } from "./fake_clock.ts";
import type { RawPeer } from "./raw_peer.ts";
import { until } from "./until.ts";
import type { Frame } from "./vectors.ts";

/** Packets that carry the id of the packet they answer. */
const ANSWERS = new Set<Packet["type"]>([
  "ConnAck",
  "DisConnAck",
  "HeartbeatAck",
  "DismissAck",
  "Response",
  "RegisterAck",
  "RequestCancel",
]);

/** Whether a packet's id was chosen by the other side than the one that sends the packet. */
export function isAnswer(packet: Packet): boolean {
  return ANSWERS.has(packet.type);
}

/** A clock that begins when the capture did, as far as its deadlines tell. */
export function captureClock(frames: Frame[]): FakeClock {
  for (const { packet, at } of frames) {
    const deadline = "body" in packet && "deadline" in packet.body
      ? packet.body.deadline
      : undefined;
    // The broker that was captured gave its calls 30 s.
    if (deadline !== undefined) return new FakeClock(Date.parse(deadline) - 30_000 - at * 1000);
  }
  return new FakeClock();
}

/**
 * Matches what one connection really sends with what was captured: equal but for the ids that
 * its sender is free to choose, which are remembered, and the moment in deadlines. What the two
 * sides send independently may come in another order than it did then.
 */
export class Matcher {
  readonly #peer: RawPeer;
  /** Captured id → the id in this run. */
  readonly #ids = new Map<bigint, bigint>();

  constructor(peer: RawPeer) {
    this.#peer = peer;
  }

  /** The packet as it must be sent in this run: answers take the ids of this run. */
  translate(packet: Packet): Packet {
    const packetId = this.#ids.get(packet.packetId);
    return packetId === undefined ? packet : { ...packet, packetId };
  }

  /** Waits for the packet that was captured. */
  async expect(captured: Packet): Promise<Packet> {
    const wanted = plain(this.translate(captured), isAnswer(captured));
    const inbox = this.#peer.inbox;
    const found = () => inbox.findIndex((got) => equal(plain(got, isAnswer(captured)), wanted));
    try {
      await until(`${captured.type} as captured`, () => found() >= 0);
    } catch {
      // Shows the difference to what came instead.
      assertEquals(inbox.map((packet) => plain(packet, isAnswer(captured))), [wanted]);
    }
    const [packet] = inbox.splice(found(), 1);
    if (packet === undefined) throw new Error("unreachable: it was just found");
    if (!isAnswer(captured)) this.#ids.set(captured.packetId, packet.packetId);
    return packet;
  }

  /** Nothing but what was captured may have come; goodbyes beyond the capture's end are fine. */
  assertNothingElse(): void {
    const goodbye = ["Dismiss", "DismissAck", "DisConn", "DisConnAck"];
    assertEquals(this.#peer.inbox.filter(({ type }) => !goodbye.includes(type)), []);
  }
}

function plain(packet: Packet, keepId: boolean): unknown {
  const copy: Record<string, unknown> = { ...packet, packetId: keepId ? packet.packetId : "any" };
  if ("body" in packet && "deadline" in packet.body) {
    copy["body"] = { ...packet.body, deadline: "some time" };
  }
  return copy;
}

function equal(a: unknown, b: unknown): boolean {
  try {
    assertEquals(a, b);
    return true;
  } catch {
    return false;
  }
}
