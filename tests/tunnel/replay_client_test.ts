import { assertEquals, assertRejects } from "@std/assert";
import { ProtocolError } from "../../lib/cli/errors.ts";
import { connectEdge, type EdgeConnection, type Handler } from "../../lib/tunnel/edge_client.ts";
import type { Packet, RequestPacket } from "../../lib/tunnel/packet.ts";
import { FakeClock } from "./support/fake_clock.ts";
import { captureClock, isAnswer, Matcher } from "./support/replay.ts";
import { RawPeer } from "./support/raw_peer.ts";
import { decode } from "./support/test_broker.ts";
import { soon } from "./support/until.ts";
import { type Frame, loadCapture } from "./support/vectors.ts";

type Answer = { value: Uint8Array } | { error: string };

/** One connection of the captured edge, played by the client, with the broker's side replayed. */
class BrokerReplay {
  readonly #peer: RawPeer;
  readonly #matcher: Matcher;
  readonly #methods = new Map<string, PromiseWithResolvers<Answer>>();
  readonly #connecting: Promise<EdgeConnection>;
  readonly outcomes: Promise<string>[] = [];

  private constructor(peer: RawPeer, connecting: Promise<EdgeConnection>) {
    this.#peer = peer;
    this.#matcher = new Matcher(peer);
    this.#connecting = connecting;
  }

  static async connect(conn: Packet & { type: "Conn" }, clock: FakeClock): Promise<BrokerReplay> {
    using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const self: { replay?: BrokerReplay } = {};
    const handler = (method: string): Handler => async () => {
      const answer = await self.replay?.answerOf(method).promise;
      if (answer === undefined) throw new Error("no answer");
      if ("error" in answer) throw new Error(answer.error);
      return answer.value;
    };
    const connecting = connectEdge({
      hostname: "127.0.0.1",
      port: listener.addr.port,
      meta: conn.body.meta ?? new Uint8Array(0),
      methods: { fetch_package: handler("fetch_package"), apply_package: handler("apply_package") },
      clock,
    });
    connecting.catch(() => {}); // looked at by the test that expects it
    self.replay = new BrokerReplay(new RawPeer(await listener.accept()), connecting);
    return self.replay;
  }

  get connecting(): Promise<EdgeConnection> {
    return this.#connecting;
  }

  answerOf(method: string): PromiseWithResolvers<Answer> {
    const answer = this.#methods.get(method) ?? Promise.withResolvers<Answer>();
    this.#methods.set(method, answer);
    return answer;
  }

  async play({ direction, packet }: Frame): Promise<void> {
    if (direction === "s->c") {
      return await this.#peer.send(isAnswer(packet) ? this.#matcher.translate(packet) : packet);
    }
    await this.#cause(packet);
    await this.#matcher.expect(packet);
  }

  /** Makes the client do what its captured counterpart did by itself. */
  async #cause(packet: Packet): Promise<void> {
    if (packet.type === "Request") this.#call(packet, await soon("connected", this.#connecting));
    if (packet.type === "Dismiss" && this.#peer.inbox.length === 0) {
      const edge = await soon("connected", this.#connecting);
      // What was sent may not have been read yet, and leaving gives unanswered calls up.
      await soon("the calls are answered", Promise.all(this.outcomes));
      this.outcomes.push(edge.close().then(() => "closed"));
    }
    if (packet.type !== "Response") return;
    const { key, value, error } = packet.body;
    const answer = value === undefined ? { error: error ?? "" } : { value };
    this.answerOf(decode(key ?? new Uint8Array(0))).resolve(answer);
  }

  #call({ body }: RequestPacket, edge: EdgeConnection): void {
    const call = edge.call(decode(body.key ?? new Uint8Array(0)), body.value ?? new Uint8Array(0));
    this.outcomes.push(call.then(decode, (error) => `error: ${error.message}`));
  }

  async end(): Promise<void> {
    await this.#peer[Symbol.asyncDispose]();
    this.#matcher.assertNothingElse();
    const edge = await this.#connecting.catch(() => undefined);
    if (edge !== undefined) await soon("the client sees the end", edge.closed);
  }
}

async function replay(name: Parameters<typeof loadCapture>[0]): Promise<BrokerReplay[]> {
  const frames = loadCapture(name);
  const clock = captureClock(frames);
  const conns = new Map<string, BrokerReplay>();
  let now = 0;
  try {
    for (const frame of frames) {
      await clock.advance((frame.at - now) * 1000);
      now = frame.at;
      if (frame.packet.type === "Conn") {
        conns.set(frame.conn, await BrokerReplay.connect(frame.packet, clock));
      }
      await conns.get(frame.conn)?.play(frame);
    }
  } finally {
    for (const conn of conns.values()) await conn.end();
  }
  assertEquals(clock.pending, 0, "timers are left");
  return [...conns.values()];
}

for (const [name, answers] of [["normal", 5], ["edge-error", 2], ["cancel", 2]] as const) {
  Deno.test(`the client speaks as the captured edge did: ${name}`, async () => {
    const [conn] = await replay(`edge-leg-${name}`);
    const outcomes = await Promise.all(conn?.outcomes ?? []);
    assertEquals(outcomes.filter((text) => text.startsWith("{")).length, answers);
    assertEquals(outcomes.filter((text) => text.startsWith("error")), []);
  });
}

Deno.test("the client speaks as the captured edge did: 30 s and its heartbeats", async () => {
  const [conn] = await replay("edge-leg-30s-limit");
  assertEquals((await Promise.all(conn?.outcomes ?? [])).length, 3);
});

Deno.test("the client speaks as the captured edge did: kicked by a newer connection", async () => {
  assertEquals((await replay("edge-leg-duplicate-edge")).length, 3);
});

for (
  const [name, text] of [["wrong-secret", "unauthorized"], ["no-manager", "service not online"]]
) {
  Deno.test(`the client is refused with the broker's text: ${text}`, async () => {
    const [conn] = await replay(`edge-leg-${name}` as "edge-leg-wrong-secret");
    const error = await assertRejects(() => conn?.connecting ?? Promise.resolve(), ProtocolError);
    assertEquals([error.message, error.kind], [text, "refused"]);
  });
}
