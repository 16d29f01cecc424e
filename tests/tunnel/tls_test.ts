import { generateKeyPairSync } from "node:crypto";
import { assertEquals, assertRejects } from "@std/assert";
import { OngridError, ProtocolError } from "../../lib/cli/errors.ts";
import { connectEdge } from "../../lib/tunnel/edge_client.ts";
import { testEdge } from "./support/edge.ts";
import { FakeClock } from "./support/fake_clock.ts";
import { TEST_CA, TEST_CERT, TEST_KEY } from "./support/certificates.ts";
import { Random } from "./support/random.ts";
import { RawPeer } from "./support/raw_peer.ts";
import { metaOf, testBroker } from "./support/test_broker.ts";
import { until } from "./support/until.ts";

const tls = { cert: TEST_CERT, key: TEST_KEY };
const caCerts = [TEST_CA];

Deno.test("over TLS calls go both ways and the end is in order", async () => {
  await using broker = await testBroker({ tls });
  const edge = await testEdge(broker.port, 7, {
    tls: { caCerts },
    methods: { echo: (body) => Promise.resolve(body) },
  });
  const body = new Random(2).bytes(1_000_000);
  assertEquals(await edge.call("echo", body), body);
  assertEquals(await broker.call(7n, "echo", body), body);
  await edge.close();
  assertEquals(await edge.closed, { reason: "closed on this side" });
  await until("offline", () => broker.events.length === 2);
});

Deno.test("the name in the certificate can be another than the one dialled", async () => {
  await using broker = await testBroker({ tls });
  await using edge = await testEdge(broker.port, 7, {
    tls: { caCerts, serverName: "broker.test" },
  });
  assertEquals(edge.edgeId, 7n);
});

Deno.test("a certificate that is not trusted, or of another name, is refused", async () => {
  await using broker = await testBroker({ tls });
  for (const wrong of [{}, { caCerts, serverName: "elsewhere.test" }]) {
    const error = await assertRejects(
      () => testEdge(broker.port, 7, { tls: wrong }),
      ProtocolError,
      "Cannot connect to 127.0.0.1",
    );
    assertEquals(error.kind, "closed");
  }
  assertEquals(broker.events, []);
});

Deno.test("plain bytes on a TLS port harm nobody", async () => {
  await using broker = await testBroker({ tls });
  await using plain = await RawPeer.connect(broker.port);
  await plain.send({
    type: "Conn",
    packetId: 1n,
    flags: 0x18,
    wantedId: 0n,
    body: { meta: metaOf(7) },
  });
  await until("the broker has had enough", () => broker.connections === 0);
  plain.close();
  await using edge = await testEdge(broker.port, 7, { tls: { caCerts } });
  assertEquals(edge.edgeId, 7n);
});

Deno.test("a peer that never begins TLS is cut off after 10 s", async () => {
  const clock = new FakeClock();
  await using broker = await testBroker({ tls, clock });
  await using silent = await RawPeer.connect(broker.port);
  await until("it is there", () => broker.connections === 1);
  await clock.advance(11_000);
  await silent.end();
  assertEquals(broker.connections, 0);
});

Deno.test("a TLS handshake that is not answered is given up, by time and by signal", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  for (const how of ["time", "signal"] as const) {
    const clock = new FakeClock();
    const abort = new AbortController();
    const options = { meta: metaOf(7), methods: {}, tls: { caCerts }, signal: abort.signal, clock };
    const connecting = connectEdge({ hostname: "127.0.0.1", port, ...options });
    connecting.catch(() => {});
    using conn = await listener.accept();
    const hello = new Uint8Array(1024);
    await conn.read(hello);
    if (how === "time") await clock.advance(10_000);
    else abort.abort(new Error("stop"));
    const error = await assertRejects(() => connecting, Error);
    assertEquals(
      error.message.replace(/\d+:/, "…:"),
      {
        time: `Cannot connect to 127.0.0.1:${port}: no answer in time`.replace(/\d+:/, "…:"),
        signal: "stop",
      }[how],
    );
    assertEquals(clock.pending, 0);
  }
});

Deno.test("a certificate that is none, or whose key is another's, is a clear error", async () => {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const otherKey = `${privateKey.export({ type: "pkcs8", format: "pem" })}`;
  for (
    const wrong of [
      { cert: "nonsense", key: TEST_KEY },
      { cert: TEST_CERT, key: "nonsense" },
      { cert: TEST_CERT, key: otherKey },
    ]
  ) {
    await assertRejects(
      () => testBroker({ tls: wrong }),
      OngridError,
      "Cannot listen for edges on 127.0.0.1:0",
    );
  }
});
