import { assertEquals, assertThrows } from "@std/assert";
import { parsePublicKey, verifySignature } from "../../lib/bundle/signature.ts";
import { InvalidBundleError, OngridError } from "../../lib/cli/errors.ts";

/** Made by minisign 0.11. */
const made = (name: string) => Deno.readFileSync(new URL(`./minisign/${name}`, import.meta.url));
const KEY = parsePublicKey(made("key.pub"));
const content = made("MANIFEST.txt");

Deno.test("a signature made by minisign is accepted, with its trusted comment", () => {
  const { trustedComment } = verifySignature({
    content,
    signature: made("good.minisig"),
    key: KEY,
  });
  assertEquals(trustedComment, "ongrid edge bundle v2");
});

Deno.test("a public key is its two lines, or the line with the key alone", () => {
  const [, line = ""] = new TextDecoder().decode(made("key.pub")).split("\n");
  assertEquals(parsePublicKey(line), KEY);
  assertEquals(KEY.id, "739166D433878AD1");
});

const REFUSED: Record<string, { signature: Uint8Array; why: RegExp; content?: Uint8Array }> = {
  "another key": {
    signature: made("other_key.minisig"),
    why: /made with key .* pinned key is 739/,
  },
  "not prehashed": { signature: made("legacy.minisig"), why: /legacy, not prehashed/ },
  "an altered trusted comment": {
    signature: made("altered_comment.minisig"),
    why: /trusted comment was altered/,
  },
  "other content": {
    signature: made("good.minisig"),
    content: new Uint8Array([...content, 10]),
    why: /not the signature of this file/,
  },
  "nothing": { signature: new Uint8Array(), why: /not a minisign signature/ },
  "random bytes": { signature: crypto.getRandomValues(new Uint8Array(300)), why: /signature/ },
  "a cut signature": {
    signature: made("good.minisig").subarray(0, 150),
    why: /not a minisign signature/,
  },
  "seventeen kilobytes": { signature: new Uint8Array(17 << 10), why: /larger than/ },
};

for (const [what, { signature, why, content: changed }] of Object.entries(REFUSED)) {
  Deno.test(`a signature is refused: ${what}`, () => {
    const error = assertThrows(
      () => verifySignature({ content: changed ?? content, signature, key: KEY }),
      InvalidBundleError,
    );
    assertEquals(why.test(error.message), true, error.message);
  });
}

Deno.test("what is no public key is said to be none", () => {
  for (const text of ["", "RWQ", "untrusted comment: x\n", made("good.minisig")]) {
    assertThrows(() => parsePublicKey(text), OngridError, "not a minisign public key");
  }
});
