import { assert, assertEquals, assertThrows } from "@std/assert";
import { encodeBody, idOf, parseBody } from "../../../lib/edge/agent/json.ts";
import { OngridError } from "../../../lib/cli/errors.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (body: Uint8Array) => new TextDecoder().decode(body);

Deno.test("an id beyond 2^53 keeps every digit on its way through", () => {
  const { edge_id } = parseBody(bytes('{"edge_id":18446744073709551615}'), "decode");
  assertEquals(idOf(edge_id), 18446744073709551615n);
  assertEquals(
    text(encodeBody({ edge_id: idOf(edge_id), ts: 1 })),
    '{"edge_id":18446744073709551615,"ts":1}',
  );
});

Deno.test("only whole numbers from 0 up are ids", () => {
  assertEquals(idOf(7), 7n);
  for (const value of [-1, 1.5, "7", null, undefined, {}, -9007199254740993n]) {
    assertEquals(idOf(value), undefined);
  }
});

Deno.test("an empty body is an empty object, fields of newer peers are kept aside", () => {
  assertEquals(parseBody(new Uint8Array(), "decode"), {});
  assertEquals(parseBody(bytes('{"new":{"x":[1.5e3]}}'), "decode"), { new: { x: [1500] } });
});

Deno.test("a body that is no JSON object is refused and named", () => {
  for (const body of ["[]", "null", "7", "{", "\u0000"]) {
    assertThrows(() => parseBody(bytes(body), "decode request"), OngridError, "decode request");
  }
  assertThrows(() => parseBody(new Uint8Array([0xff]), "decode request"), OngridError);
});

Deno.test("a number of more than 64 bits is no id", () => {
  for (const digits of ["18446744073709551616", "9".repeat(30)]) {
    assertEquals(idOf(parseBody(bytes(`{"id":${digits}}`), "decode").id), undefined, digits);
  }
});

Deno.test("a body made to keep the parser busy is refused at once", () => {
  const deep = "[".repeat(4_000_000);
  const before = performance.now();
  assertThrows(() => parseBody(bytes(`{"a":${deep}`), "decode request"), OngridError, "too large");
  assertThrows(() => parseBody(bytes(`{"a":${"9".repeat(5e6)}}`), "decode request"), OngridError);
  assert(performance.now() - before < 1_000);
});
