import { assertEquals, assertMatch, assertStringIncludes, assertThrows } from "@std/assert";
import { describeError, ForeignFileError, OngridError } from "../../lib/cli/errors.ts";
import { copyVerified, hashFile } from "../../lib/fs/copy.ts";
import { openForeign } from "../../lib/fs/foreign.ts";
import { canMount, onFullDisk, runProgram, skip } from "./process.ts";
import { IS_ROOT, makeFifo, modeOf, Scratch, sha256 } from "./scratch.ts";

/** Not a multiple of the chunk, and no two chunks alike. */
const LARGE = Uint8Array.from(
  { length: 3 * 1024 * 1024 + 17 },
  (_, i) => (i * 7 + (i >> 12)) % 256,
);

Deno.test("a copy is complete, and its hash that of the bytes", async () => {
  using dir = new Scratch();
  const from = dir.file("from", LARGE);
  const result = copyVerified({ from, to: dir.at("to"), mode: 0o755 });
  assertEquals(result, { sha256: await sha256(LARGE), bytes: LARGE.length });
  assertEquals(Deno.readFileSync(dir.at("to")), LARGE);
  assertEquals(hashFile(dir.at("to")), result.sha256);
});

Deno.test("an empty file is copied, too", () => {
  using dir = new Scratch();
  const result = copyVerified({ from: dir.file("from", ""), to: dir.at("to"), mode: 0o644 });
  assertEquals(result, { sha256: EMPTY_SHA256, bytes: 0 });
  assertEquals(Deno.lstatSync(dir.at("to")).size, 0);
});

const EMPTY_SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

Deno.test("the mode of a copy is exact whatever the umask", async () => {
  using dir = new Scratch();
  dir.file("from", "x");
  const code = `for (const mode of [0o644, 0o755, 0o777, 0o400, 0o4755]) {
    copyVerified({ from: "from", to: mode.toString(8), mode });
  }`;
  const { stderr } = await runProgram(code, { cwd: dir.path, shell: 'umask 077; exec "$@"' });
  assertEquals(stderr, "");
  for (const mode of [0o644, 0o755, 0o777, 0o400, 0o4755]) {
    assertEquals(modeOf(dir.at(mode.toString(8))), mode);
  }
});

Deno.test("the owner is set where it may be, and a failure there leaves nothing", () => {
  using dir = new Scratch();
  const from = dir.file("from", "x");
  const self = { uid: Deno.uid() ?? 0, gid: Deno.gid() ?? 0 };
  copyVerified({ from, to: dir.at("own"), mode: 0o4755, owner: self });
  assertEquals(modeOf(dir.at("own")), 0o4755);
  if (IS_ROOT) {
    copyVerified({ from, to: dir.at("other"), mode: 0o644, owner: { uid: 4321, gid: 1234 } });
    const { uid, gid } = Deno.lstatSync(dir.at("other"));
    assertEquals([uid, gid], [4321, 1234]);
  } else {
    const to = dir.at("other");
    assertThrows(
      () => copyVerified({ from, to, mode: 0o644, owner: { uid: 0, gid: 0 } }),
      OngridError,
    );
    assertEquals(dir.names(), ["from", "own"]);
  }
});

Deno.test("an open reader is copied from where it stands, and stays open", () => {
  using dir = new Scratch();
  using file = openForeign(dir.file("from", "0123456789"), { maxBytes: 10 }).file;
  file.readSync(new Uint8Array(4));
  assertEquals(copyVerified({ from: file, to: dir.at("to"), mode: 0o644 }).bytes, 6);
  assertEquals(Deno.readTextFileSync(dir.at("to")), "456789");
  assertEquals(file.readSync(new Uint8Array(1)), null);
});

Deno.test("whatever has the name already is neither overwritten nor removed", () => {
  using dir = new Scratch();
  const from = dir.file("from", "new");
  dir.file("file", "old");
  Deno.symlinkSync(dir.at("absent"), dir.at("link"));
  makeFifo(dir.at("fifo"));
  for (const name of ["file", "link", "fifo"]) {
    const error = assertThrows(
      () => copyVerified({ from, to: dir.at(name), mode: 0o644 }),
      OngridError,
    );
    assertMatch(
      describeError(error).message,
      /^Cannot copy .*: open '.*': file (already )?exists$/,
    );
  }
  assertEquals(Deno.readTextFileSync(dir.at("file")), "old");
  assertEquals(dir.names(), ["fifo", "file", "from", "link"]);
});

Deno.test("nothing but a regular file is copied, and nothing is waited for", () => {
  using dir = new Scratch();
  makeFifo(dir.at("fifo"));
  Deno.symlinkSync(dir.file("real", "x"), dir.at("link"));
  for (const from of [dir.at("fifo"), dir.at("link"), dir.path, "/dev/zero", dir.at("absent")]) {
    assertThrows(() => copyVerified({ from, to: dir.at("to"), mode: 0o644 }), ForeignFileError);
    assertThrows(() => hashFile(from), ForeignFileError);
  }
  assertEquals(dir.names(), ["fifo", "link", "real"]);
});

Deno.test("more than the limit is refused, and nothing is left", () => {
  using dir = new Scratch();
  const from = dir.file("from", "x".repeat(11));
  const to = dir.at("to");
  assertEquals(copyVerified({ from, to: dir.at("fits"), mode: 0o644, maxBytes: 11 }).bytes, 11);
  assertThrows(() => copyVerified({ from, to, mode: 0o644, maxBytes: 10 }), ForeignFileError);
  let left = 64;
  const endless = { readSync: (target: Uint8Array) => left-- > 0 ? target.length : null };
  const error = assertThrows(
    () => copyVerified({ from: endless, to, mode: 0o644, maxBytes: 5 << 20 }),
    OngridError,
  );
  assertStringIncludes(describeError(error).message, "it has more than 5242880 bytes");
  assertEquals(dir.names(), ["fits", "from"]);
});

Deno.test("a source that grows while it is copied is bounded, and nothing is left", () => {
  using dir = new Scratch();
  const path = dir.file("from", "x".repeat(100));
  using file = openForeign(path, { maxBytes: 150 }).file;
  let grown = false;
  const growing = {
    readSync(target: Uint8Array) {
      if (!grown) Deno.writeTextFileSync(path, "y".repeat(1000), { append: true });
      grown = true;
      return file.readSync(target);
    },
  };
  const to = dir.at("to");
  assertThrows(() => copyVerified({ from: growing, to, mode: 0o644 }), ForeignFileError, "grew");
  assertEquals(dir.names(), ["from"]);
});

Deno.test("a source that fails half way leaves nothing, and says what was copied where", () => {
  using dir = new Scratch();
  let reads = 0;
  const failing = {
    readSync(target: Uint8Array) {
      reads += 1;
      if (reads > 2) throw new Error("disk on fire");
      return target.length;
    },
  };
  const to = dir.at("to");
  const error = assertThrows(() => copyVerified({ from: failing, to, mode: 0o644 }), OngridError);
  assertEquals(describeError(error).message, `Cannot copy an open file to ${to}: disk on fire`);
  assertEquals(dir.names(), []);
});

Deno.test({
  name: "a full disk ends a copy with path and hint, and nothing is left behind",
  ignore: skip("a full disk needs a mount namespace", { when: !canMount() }),
  async fn() {
    using dir = new Scratch();
    const from = dir.file("from", LARGE);
    const call = `copyVerified({ from: ${JSON.stringify(from)}, to: path, mode: 0o755 })`;
    const outcome = await onFullDisk(call);
    assertStringIncludes(outcome.message, `Cannot copy ${from} to /`);
    assertStringIncludes(outcome.message, "no space left on device");
    assertStringIncludes(outcome.hint, "Free some space");
    assertEquals(outcome.names, ["filler"]);
  },
});
