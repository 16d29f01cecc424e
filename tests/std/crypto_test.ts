import { createHash } from "node:crypto";
import { assert, assertEquals, assertInstanceOf, assertRejects, assertThrows } from "@std/assert";
import {
  crypto,
  DIGEST_ALGORITHM_NAMES,
  type DigestAlgorithm,
  type DigestAlgorithmName,
  timingSafeEqual,
} from "@std/crypto";

/** What the standards say of `abc` (RFC 1321, FIPS 180-4, FIPS 202). */
const ABC: Partial<Record<DigestAlgorithmName, string>> = {
  "MD5": "900150983cd24fb0d6963f7d28e17f72",
  "SHA-1": "a9993e364706816aba3e25717850c26c9cd0d89d",
  "SHA-224": "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7",
  "SHA-256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
  "SHA-384": "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed" +
    "8086072ba1e7cc2358baeca134c825a7",
  "SHA-512": "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a" +
    "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
  "SHA3-256": "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532",
};

function bytes(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}

function hex(digest: ArrayBuffer): string {
  return new Uint8Array(digest).toHex();
}

Deno.test("every algorithm agrees with its standard, whole and in pieces", async () => {
  for (const [name, expected] of Object.entries(ABC) as [DigestAlgorithmName, string][]) {
    assert(DIGEST_ALGORITHM_NAMES.includes(name));
    assertEquals(hex(crypto.subtle.digestSync(name, bytes("abc"))), expected);
    assertEquals(hex(crypto.subtle.digestSync(name, [bytes("a"), bytes("bc")])), expected);
    assertEquals(hex(await crypto.subtle.digest(name, bytes("abc"))), expected);
    assertEquals(
      hex(await crypto.subtle.digest(name, ReadableStream.from([bytes("ab"), bytes("c")]))),
      expected,
    );
  }
});

Deno.test("all kinds of data with the same bytes have the same digest", async () => {
  const expected = createHash("sha384").update("abcd").digest("hex");
  const all = bytes("xabcdx");
  const view = all.subarray(1, 5);
  const kinds = [view, new DataView(all.buffer, 1, 4), view.slice().buffer];
  for (const kind of kinds) {
    assertEquals(hex(crypto.subtle.digestSync("SHA-384", kind)), expected);
    assertEquals(hex(crypto.subtle.digestSync("SHA-384", [kind])), expected);
    assertEquals(hex(await crypto.subtle.digest("SHA-384", kind)), expected);
    assertEquals(hex(await crypto.subtle.digest("SHA-384", [kind])), expected);
  }
  async function* pieces() {
    yield new Uint16Array();
    yield bytes("ab");
    yield await Promise.resolve(new ArrayBuffer(0));
    yield bytes("cd");
  }
  assertEquals(hex(await crypto.subtle.digest("SHA-384", pieces())), expected);
  assertEquals(hex(await crypto.subtle.digest("SHA-384", new Blob([view]).stream())), expected);
});

Deno.test("nothing has a digest, too, and a digest has memory of its own", async () => {
  const empty = createHash("sha256").digest("hex");
  assertEquals(hex(crypto.subtle.digestSync("SHA-256", [])), empty);
  assertEquals(hex(await crypto.subtle.digest("SHA-256", ReadableStream.from([]))), empty);
  const digest = crypto.subtle.digestSync("SHA-256", new ArrayBuffer(0));
  assertInstanceOf(digest, ArrayBuffer);
  assertEquals(digest.byteLength, 32);
});

Deno.test("digestSync asks for a piece when the one before is hashed, whose memory is free", () => {
  const memory = new Uint8Array(4);
  const order: string[] = [];
  function* pieces() {
    for (const text of ["abcd", "efgh", "ij"]) {
      order.push(text);
      memory.set(bytes(text));
      yield memory.subarray(0, text.length);
      memory.fill(0);
    }
    order.push("end");
  }
  const digest = crypto.subtle.digestSync("SHA-256", pieces());
  assertEquals(order, ["abcd", "efgh", "ij", "end"]);
  assertEquals(hex(digest), createHash("sha256").update("abcdefghij").digest("hex"));
});

Deno.test("what fails while the pieces come ends the digest and closes the generator", () => {
  let closed = false;
  function* broken() {
    try {
      yield bytes("a");
      yield "b" as unknown as Uint8Array<ArrayBuffer>;
    } finally {
      closed = true;
    }
  }
  assertThrows(() => crypto.subtle.digestSync("SHA-256", broken()), TypeError, "chunk");
  assert(closed);
  function* failing(): Generator<Uint8Array<ArrayBuffer>> {
    yield bytes("a");
    throw new RangeError("disk on fire");
  }
  assertThrows(() => crypto.subtle.digestSync("MD5", failing()), RangeError, "disk on fire");
});

Deno.test("what is no data is refused", async () => {
  const wrong = {} as unknown as Uint8Array<ArrayBuffer>;
  assertThrows(
    () => crypto.subtle.digestSync("SHA-256", wrong),
    TypeError,
    "data must be a BufferSource or Iterable<BufferSource>",
  );
  await assertRejects(
    () => crypto.subtle.digest("SHA-256", wrong),
    TypeError,
    "data must be a BufferSource or [Async]Iterable<BufferSource>",
  );
  await assertRejects(
    () => crypto.subtle.digest("SHA-256", ReadableStream.from([wrong])),
    TypeError,
    "chunk",
  );
});

Deno.test("an unknown algorithm is refused", async () => {
  const unknown = "SHA-2" as DigestAlgorithmName;
  assertThrows(
    () => crypto.subtle.digestSync(unknown, bytes("a")),
    TypeError,
    "unsupported algorithm",
  );
  await assertRejects(() => crypto.subtle.digest(unknown, bytes("a")), DOMException);
});

Deno.test("the name of an algorithm may be in small letters and come with its length", () => {
  const small = "sha-256" as DigestAlgorithmName;
  const expected = hex(crypto.subtle.digestSync("SHA-256", bytes("a")));
  assertEquals(hex(crypto.subtle.digestSync(small, bytes("a"))), expected);
  const withLength: DigestAlgorithm = { name: "SHA-256", length: 32 };
  assertEquals(hex(crypto.subtle.digestSync(withLength, bytes("a"))), expected);
  assertThrows(
    () => crypto.subtle.digestSync({ name: "SHA-256", length: 16 }, bytes("a")),
    TypeError,
    "non-default length",
  );
  for (const length of [-1, 1.5, NaN, 2 ** 31]) {
    assertThrows(
      () => crypto.subtle.digestSync({ name: "SHA-256", length }, bytes("a")),
      RangeError,
      "length must be an integer",
    );
  }
});

Deno.test("the rest of crypto is that of the runtime and works detached", async () => {
  const { randomUUID, getRandomValues, subtle } = crypto;
  assertEquals(randomUUID().length, 36);
  assertEquals(getRandomValues(new Uint8Array(4)).length, 4);
  const { importKey, sign } = subtle;
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  const key = await importKey("raw", bytes("key"), algorithm, false, ["sign"]);
  assertEquals((await sign("HMAC", key, bytes("a"))).byteLength, 32);
});

Deno.test("timingSafeEqual compares bytes, whatever holds them", () => {
  const all = bytes("abcabd");
  const views = [all.subarray(0, 3), new DataView(all.buffer, 0, 3), bytes("abc").buffer];
  for (const a of views) {
    for (const b of views) assert(timingSafeEqual(a, b));
    assert(!timingSafeEqual(a, all.subarray(3)));
    assert(!timingSafeEqual(a, all.subarray(0, 2)));
  }
  assert(timingSafeEqual(new Uint8Array(), new ArrayBuffer(0)));
});
