import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { createOpener, type OpenUrl } from "../../../lib/edge/agent/http.ts";
import { fileAnswer, serveFiles } from "./support/file_server.ts";
import { eventually } from "./support/host.ts";

/** A certificate for loopback names, its key, and the certificate of somebody else. */
const TLS: { cert: string; key: string; other: string } = JSON.parse(
  Deno.readTextFileSync(new URL("support/tls.json", import.meta.url)),
);
const FILE = new TextEncoder().encode("the bytes of a bundle");

async function fetchAll(open: OpenUrl, url: string, offset = 0): Promise<string> {
  const answer = await open(url, { offset, signal: new AbortController().signal });
  let text = "";
  for await (const chunk of answer.body) text += new TextDecoder().decode(chunk);
  answer.close();
  return text;
}

const secureServer = () => serveFiles((asked) => fileAnswer(asked, FILE), TLS);

Deno.test("a self-signed manager is good enough, since the sha256 is the anchor", async () => {
  await using server = secureServer();
  assertEquals(await fetchAll(createOpener(), server.url), "the bytes of a bundle");
});

Deno.test("with a CA configured the manager's certificate must come from it", async () => {
  await using server = secureServer();
  assertEquals(await fetchAll(createOpener({ ca: TLS.cert }), server.url), "the bytes of a bundle");
  const error = await assertRejects(
    () => fetchAll(createOpener({ ca: TLS.other }), server.url),
    Error,
  );
  assertStringIncludes(error.message, "certificate");
});

Deno.test("a CA is held against the name that was asked for", async () => {
  await using server = secureServer();
  const url = server.url.replace("127.0.0.1", "127.0.0.2");
  await assertRejects(() => fetchAll(createOpener({ ca: TLS.cert }), url), Error);
});

Deno.test("the rest of a file is asked for, and where it begins is told", async () => {
  await using server = serveFiles((asked) => fileAnswer(asked, FILE));
  const answer = await createOpener()(server.url, {
    offset: 4,
    validator: '"one"',
    signal: new AbortController().signal,
  });
  assertEquals([answer.status, answer.rangeStart, answer.length], [206, 4, FILE.length - 4]);
  assertEquals(server.seen[0]?.headers.get("if-range"), '"one"');
  answer.close();
});

Deno.test("a redirect to anything but http(s) is refused", async () => {
  await using server = serveFiles(() => ({
    status: 302,
    headers: { location: "file:///etc/passwd" },
  }));
  const error = await assertRejects(() => fetchAll(createOpener(), server.url), Error);
  assertStringIncludes(error.message, "not http(s)");
});

Deno.test("a server is not read faster than its bytes are taken, encrypted or not", async () => {
  const big = new Uint8Array(48 * 1024 * 1024);
  for (const tls of [undefined, TLS]) {
    let written = 0;
    await using server = serveFiles(() => ({ body: big, onWrite: (done) => written = done }), tls);
    const answer = await createOpener()(server.url, {
      offset: 0,
      signal: new AbortController().signal,
    });
    const chunks = answer.body[Symbol.asyncIterator]();
    await chunks.next();
    let before = -1;
    let still = 0;
    // What the kernel and the first megabyte of buffers take is written; then nothing moves.
    await eventually("the server is stopped", async () => {
      still = written === before ? still + 1 : 0;
      before = written;
      await new Promise((resolve) => setTimeout(resolve, 100));
      // Half a second: a trickle comes in bursts.
      return still >= 5;
    });
    assert(written < big.length / 2, `${written} bytes`);
    let total = 0;
    for await (const chunk of { [Symbol.asyncIterator]: () => chunks }) total += chunk.length;
    assert(total > 0 && total < big.length);
    answer.close();
  }
});

Deno.test("an encrypted connection that breaks is noticed, never taken for the end", async () => {
  const big = new Uint8Array(3 * 1024 * 1024);
  await using server = serveFiles(() => ({ body: big, cutAfter: 2_000_000 }), TLS);
  const open = createOpener();
  await assertRejects(() => fetchAll(open, server.url), Error);
});

Deno.test("nobody listening is noticed, encrypted or not", async () => {
  const server = serveFiles(() => ({}));
  await server[Symbol.asyncDispose]();
  for (const url of [server.url, server.url.replace("http:", "https:")]) {
    await assertRejects(() => fetchAll(createOpener(), url), Error);
  }
});

Deno.test("what no sha256 is known of is only taken from a server that is vouched for", async () => {
  await using server = secureServer();
  const open = createOpener({ otherwise: "well_known" });
  const error = await assertRejects(() => fetchAll(open, server.url), Error);
  assertStringIncludes(error.message.toLowerCase(), "certificate");
  const trusted = createOpener({ otherwise: "well_known", ca: TLS.cert });
  assertEquals(await fetchAll(trusted, server.url), "the bytes of a bundle");
});
