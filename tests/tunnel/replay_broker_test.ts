import { assert, assertEquals } from "@std/assert";
import { deadlineMs } from "../../lib/tunnel/body.ts";
import type { DataBody, Packet, RequestPacket } from "../../lib/tunnel/packet.ts";
import type { FakeClock } from "./support/fake_clock.ts";
import { captureClock, isAnswer, Matcher } from "./support/replay.ts";
import { RawPeer } from "./support/raw_peer.ts";
import { decode, type TestBroker, testBroker } from "./support/test_broker.ts";
import { until } from "./support/until.ts";
import { type Frame, loadCapture } from "./support/vectors.ts";

type EdgeLeg = `edge-leg-${string}` & Parameters<typeof loadCapture>[0];

/** What the manager answered to calls of edges, in order, taken from the capture. */
function managerAnswers(frames: Frame[]): Map<string, DataBody[]> {
  const answers = new Map<string, DataBody[]>();
  for (const { direction, packet } of frames) {
    if (direction !== "s->c" || packet.type !== "Response") continue;
    const method = decode(packet.body.key ?? new Uint8Array(0));
    answers.set(method, [...answers.get(method) ?? [], packet.body]);
  }
  return answers;
}

/** Plays the edge of a capture to the broker and compares what the broker does. */
class EdgeReplay {
  readonly #broker: TestBroker;
  readonly #clock: FakeClock;
  readonly #conns = new Map<string, { peer: RawPeer; matcher: Matcher }>();
  readonly #abort = new AbortController();
  /** Outcomes of the manager's calls: the answer, or the error's message. */
  readonly outcomes: Promise<string>[] = [];

  constructor(broker: TestBroker, clock: FakeClock) {
    this.#broker = broker;
    this.#clock = clock;
  }

  async run(frames: Frame[]): Promise<void> {
    let now = 0;
    for (const { at, conn, direction, packet } of frames) {
      await this.#clock.advance((at - now) * 1000);
      now = at;
      if (direction === "c->s") await this.#send(conn, packet);
      else await this.#receive(conn, packet);
    }
  }

  async #send(name: string, packet: Packet): Promise<void> {
    if (packet.type === "Conn") {
      const peer = await RawPeer.connect(this.#broker.port);
      this.#conns.set(name, { peer, matcher: new Matcher(peer) });
    }
    const { peer, matcher } = this.#of(name);
    await peer.send(isAnswer(packet) ? matcher.translate(packet) : packet);
  }

  async #receive(name: string, packet: Packet): Promise<void> {
    if (packet.type === "Request") this.#call(packet);
    if (packet.type === "RequestCancel") this.#abort.abort(new Error("given up"));
    const got = await this.#of(name).matcher.expect(packet);
    if (got.type === "Request") {
      const left = deadlineMs(got.body.deadline ?? "") - this.#clock.wall();
      assert(left > 29_000 && left <= 30_000, `the deadline is ${left} ms away, not 30 s`);
    }
  }

  #call({ body }: RequestPacket): void {
    const method = decode(body.key ?? new Uint8Array(0));
    const call = this.#broker.call(7n, method, body.value ?? new Uint8Array(0), {
      signal: this.#abort.signal,
    });
    this.outcomes.push(call.then(decode, (error) => `error: ${error.message}`));
  }

  #of(name: string): { peer: RawPeer; matcher: Matcher } {
    const conn = this.#conns.get(name);
    if (conn === undefined) throw new Error(`${name} is not connected`);
    return conn;
  }

  async end(): Promise<void> {
    for (const { peer, matcher } of this.#conns.values()) {
      await peer[Symbol.asyncDispose]();
      matcher.assertNothingElse();
    }
  }
}

async function replay(name: EdgeLeg, refusal?: string) {
  const frames = loadCapture(name);
  const clock = captureClock(frames);
  const answers = managerAnswers(frames);
  const refuse = () => Promise.reject(new Error(refusal));
  await using broker = await testBroker({
    clock,
    sendCancel: true,
    handlers: {
      getEdgeId: () => refusal === undefined ? Promise.resolve(7n) : refuse(),
      call: (edgeId, method) => {
        assertEquals(edgeId, 7n);
        const answer = answers.get(method)?.shift();
        if (answer?.value === undefined) throw new Error("the capture has no such answer");
        return Promise.resolve(answer.value);
      },
    },
  });
  const edge = new EdgeReplay(broker, clock);
  try {
    await edge.run(frames);
  } finally {
    await edge.end();
  }
  await until("all connections are gone", () => broker.connections === 0);
  const outcomes = await Promise.all(edge.outcomes);
  const events = broker.events.map((event) => event.split(" ")[0]);
  assertEquals(broker.warnings, []);
  return { outcomes, events };
}

const STAGED =
  '{"staged_path":"/var/lib/ongrid-edge/.upgrade/incoming","bytes":12345,"manifest_files":6,"version":"v0.13.4"}';

Deno.test("the captured edge that is upgraded cannot tell this broker from the real one", async () => {
  const { outcomes, events } = await replay("edge-leg-normal");
  assertEquals(outcomes, [STAGED, '{"accepted":true}']);
  assertEquals(events, ["online", "offline"]);
});

Deno.test("the captured edge whose handlers fail gets the same packets", async () => {
  const { outcomes } = await replay("edge-leg-edge-error");
  assertEquals(outcomes, [
    "error: fetch_package: canned failure",
    '{"accepted":true}',
    "error: no such rpc: plugin_configs_changed",
  ]);
});

Deno.test("the captured edge with a wrong secret is refused in the same packets", async () => {
  const { events } = await replay("edge-leg-wrong-secret", "unauthorized");
  assertEquals(events, []);
});

Deno.test("the captured edge without a manager is refused in the same packets", async () => {
  const { events } = await replay("edge-leg-no-manager", "service not online");
  assertEquals(events, []);
});

Deno.test("the captured call that is given up is taken back in the same packet", async () => {
  const { outcomes } = await replay("edge-leg-cancel");
  assertEquals(outcomes, ["error: given up"]);
});

Deno.test("the captured answer after 30 s comes too late", async () => {
  const { outcomes } = await replay("edge-leg-30s-limit");
  assertEquals(outcomes, ["error: timeout"]);
});

Deno.test("the captured edge that connects three times is kicked in the same packets", async () => {
  const { events } = await replay("edge-leg-duplicate-edge");
  assertEquals(events, ["online", "online", "offline", "online", "offline", "offline"]);
});
