import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { describeError, ForeignFileError, OngridError } from "../../lib/cli/errors.ts";
import { readJson, writeJson } from "../../lib/fs/json.ts";
import { modeOf, Scratch } from "./scratch.ts";

interface State {
  version: string;
}

function check(value: unknown): State {
  if (typeof value === "object" && value !== null && "version" in value) {
    if (typeof value.version === "string") return { version: value.version };
  }
  throw new Error("version is missing");
}

const OPTIONS = { maxBytes: 100, check };

Deno.test("what was written is read again, typed", () => {
  using dir = new Scratch();
  writeJson(dir.at("state.json"), { version: "v1", more: [1] }, { mode: 0o600 });
  const state: State | undefined = readJson(dir.at("state.json"), OPTIONS);
  assertEquals(state, { version: "v1" });
  assertEquals(modeOf(dir.at("state.json")), 0o600);
  assertEquals(
    Deno.readTextFileSync(dir.at("state.json")),
    '{\n  "version": "v1",\n  "more": [\n    1\n  ]\n}\n',
  );
});

Deno.test("an absent file is undefined", () => {
  using dir = new Scratch();
  assertEquals(readJson(dir.at("state.json"), OPTIONS), undefined);
});

Deno.test("what is not JSON, or not what it should be, is refused by name", () => {
  using dir = new Scratch();
  for (const [content, reason] of [['{"ver', "JSON"], ["", "JSON"], ["{}", "version is missing"]]) {
    const path = dir.file("state.json", content ?? "");
    const error = assertThrows(() => readJson(path, OPTIONS), OngridError);
    const { message } = describeError(error);
    assertStringIncludes(message, `Cannot use ${path}: `);
    assertStringIncludes(message, reason ?? "");
  }
});

Deno.test("a file that is too large, or a link, is refused", () => {
  using dir = new Scratch();
  const large = dir.file("large", `"${"x".repeat(100)}"`);
  Deno.symlinkSync(dir.file("state", '{"version":"v1"}'), dir.at("link"));
  for (const path of [large, dir.at("link")]) {
    assertThrows(() => readJson(path, OPTIONS), ForeignFileError);
  }
});
