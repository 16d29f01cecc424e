import { assert, assertEquals, assertThrows } from "@std/assert";
import { InvalidBundleError } from "../../lib/cli/errors.ts";
import { isPlainVersion, parseVersionFile, sameVersion } from "../../lib/bundle/version.ts";

Deno.test("plain version strings are recognised", () => {
  for (const good of ["v0.7.160", "0.7.160-rc.1+x", "1", "v1_2", "v0.0.0-dev", "A1".repeat(32)]) {
    assert(isPlainVersion(good), good);
  }
});

Deno.test("strings that are no version, or no file name, are not", () => {
  const bad = ["", "dev", ".1", "-1", "+1", "v1 2", "v1/2", "v1..2", "../1", "v1\n", "v１", "vé1"];
  for (const text of [...bad, "1".repeat(65), "v1;id", "v1\0"]) assert(!isPlainVersion(text), text);
});

Deno.test("a VERSION file may have white space around the version", () => {
  for (const text of ["v1.2.3", "v1.2.3\n", " v1.2.3 \r\n\n"]) {
    assertEquals(parseVersionFile(text), "v1.2.3");
    assertEquals(parseVersionFile(new TextEncoder().encode(text)), "v1.2.3");
  }
});

Deno.test("an empty VERSION is refused", () => {
  for (const text of ["", "\n", " \t\n"]) {
    assertThrows(() => parseVersionFile(text), InvalidBundleError, "VERSION is empty");
  }
});

Deno.test("a VERSION that is not one plain version is refused", () => {
  for (const text of ["v1\nv2", "v1 v2", "latest", "$(id)1", "v1\0", "\ufeffv1"]) {
    assertThrows(() => parseVersionFile(text), InvalidBundleError, "not a plain version");
  }
  assertThrows(() => parseVersionFile(Uint8Array.of(0x31, 0xff)), InvalidBundleError, "UTF-8");
  assertThrows(() => parseVersionFile("1".repeat(2000)), InvalidBundleError, "larger than");
});

Deno.test("versions are the same only letter by letter", () => {
  assert(sameVersion("v1.2.3", "v1.2.3"));
  assert(!sameVersion("v1.2.3", "1.2.3"));
  assert(!sameVersion("v1.2.3", "V1.2.3"));
});
