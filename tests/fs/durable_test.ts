import { assert, assertEquals, assertMatch, assertStringIncludes, assertThrows } from "@std/assert";
import { describeError, OngridError, systemCode } from "../../lib/cli/errors.ts";
import {
  ensureDirectory,
  removeDurable,
  removeTreeDurable,
  renameDurable,
  sweepTemporaries,
  syncDirectory,
  writeFileDurable,
} from "../../lib/fs/durable.ts";
import { canMount, onFullDisk, runProgram, skip } from "./process.ts";
import { IS_ROOT, makeFifo, modeOf, Scratch } from "./scratch.ts";

Deno.test("a file is written whole, and nothing else is left in its directory", () => {
  using dir = new Scratch();
  writeFileDurable(dir.at("text"), "größer\n");
  writeFileDurable(dir.at("bytes"), new Uint8Array([0, 255, 10]));
  assertEquals(Deno.readTextFileSync(dir.at("text")), "größer\n");
  assertEquals(Deno.readFileSync(dir.at("bytes")), new Uint8Array([0, 255, 10]));
  assertEquals(dir.names(), ["bytes", "text"]);
});

Deno.test("a file is replaced, not written into", () => {
  using dir = new Scratch();
  const path = dir.file("marker", "old");
  Deno.linkSync(path, dir.at("other name"));
  writeFileDurable(path, "new");
  assertEquals(Deno.readTextFileSync(path), "new");
  assertEquals(Deno.readTextFileSync(dir.at("other name")), "old");
});

Deno.test("a link in the file's place is replaced, and what it leads to stays", () => {
  using dir = new Scratch();
  const victim = dir.file("victim", "precious");
  Deno.symlinkSync(victim, dir.at("marker"));
  writeFileDurable(dir.at("marker"), "new");
  assertEquals(Deno.readTextFileSync(victim), "precious");
  assert(Deno.lstatSync(dir.at("marker")).isFile);
});

Deno.test("modes are exact whatever the umask", async () => {
  using dir = new Scratch();
  const code = `writeFileDurable("default", "");
    writeFileDurable("shared", "", { mode: 0o666 });
    writeFileDurable("sealed", "", { mode: 0o400 });
    ensureDirectory("a/b", { mode: 0o755 });`;
  await runProgram(code, { cwd: dir.path, shell: 'umask 077; exec "$@"' });
  const modes = ["default", "shared", "sealed", "a", "a/b"].map((name) => modeOf(dir.at(name)));
  assertEquals(modes, [0o644, 0o666, 0o400, 0o755, 0o755]);
});

Deno.test("content is on the disk before its name, and the name before the return", async () => {
  using dir = new Scratch();
  // What a power cut leaves cannot be tested here; that the calls come in this order can.
  const code = `const log = [];
    const fs = process.getBuiltinModule("node:fs");
    const watch = (object, name, tell) => {
      const original = object[name];
      object[name] = function (...args) { log.push(tell(...args)); return original.apply(this, args); };
    };
    watch(fs, "writeSync", () => "write");
    watch(fs, "fsyncSync", () => "fsync file");
    watch(Deno, "renameSync", (_from, to) => "rename to " + to);
    watch(Deno, "removeSync", (path) => "remove " + path);
    watch(Deno, "openSync", (path) => "open " + path);
    watch(Deno.FsFile.prototype, "syncSync", () => "fsync it");
    writeFileDurable("./a", "x");
    renameDurable("./a", "d/b");
    removeDurable("d/b");
    console.log(log.join("\\n"));`;
  Deno.mkdirSync(dir.at("d"));
  const { stdout } = await runProgram(code, { cwd: dir.path });
  const written = ["write", "fsync file", "rename to ./a", "open .", "fsync it"];
  const renamed = ["rename to d/b", "open d", "fsync it", "open .", "fsync it"];
  assertEquals(stdout.trim().split("\n"), [
    ...written,
    ...renamed,
    ...["remove d/b", "open d", "fsync it"],
  ]);
});

Deno.test("a path without a directory is one in the current directory", async () => {
  using dir = new Scratch();
  const code = `writeFileDurable("a", "1"); renameDurable("a", "b"); ensureDirectory("d/e");
    removeDurable("absent"); syncDirectory(".");`;
  const { code: exit, stderr } = await runProgram(code, { cwd: dir.path });
  assertEquals([exit, stderr], [0, ""]);
  assertEquals(dir.names(), ["b", "d"]);
});

Deno.test("a write that fails leaves the old content and no temporary file", () => {
  using dir = new Scratch();
  // A name that is fine by itself, but its directory is a file.
  const file = dir.file("file", "old");
  assertThrows(() => writeFileDurable(`${file}/below`, "x"), OngridError, "Cannot write");
  // The rename fails: a directory with something in it has the name.
  ensureDirectory(dir.at("taken/inner"));
  const error = assertThrows(() => writeFileDurable(dir.at("taken"), "x"), OngridError);
  assertStringIncludes(describeError(error).message, `Cannot write ${dir.at("taken")}: rename`);
  assertEquals(dir.names(), ["file", "taken"]);
});

Deno.test({
  name: "a full disk ends a write with path and hint, and nothing is left behind",
  ignore: skip("a full disk needs a mount namespace", { when: !canMount() }),
  async fn() {
    const outcome = await onFullDisk("writeFileDurable(path, new Uint8Array(4 << 20))");
    assertMatch(outcome.message, /^Cannot write \/.*: no space left on device$/);
    assertStringIncludes(outcome.hint, "Free some space");
    assertEquals(outcome.names, ["filler"]);
  },
});

Deno.test("renaming replaces the target and keeps the content", () => {
  using dir = new Scratch();
  ensureDirectory(dir.at("from"));
  ensureDirectory(dir.at("to"));
  dir.file("from/a", "new");
  dir.file("to/b", "old");
  renameDurable(dir.at("from/a"), dir.at("to/b"));
  assertEquals(Deno.readTextFileSync(dir.at("to/b")), "new");
  assertEquals(Array.from(Deno.readDirSync(dir.at("from"))), []);
});

Deno.test({
  name: "renaming to another filesystem is told by its code",
  ignore: skip("/dev/shm is no filesystem of its own", { when: !hasSecondFilesystem() }),
  fn() {
    using dir = new Scratch();
    const elsewhere = Deno.makeTempDirSync({ dir: "/dev/shm" });
    try {
      const from = dir.file("a", "x");
      const error = assertThrows(() => renameDurable(from, `${elsewhere}/a`), OngridError);
      assertEquals(systemCode(error), "EXDEV");
      assertEquals(dir.names(), ["a"]);
    } finally {
      Deno.removeSync(elsewhere, { recursive: true });
    }
  },
});

Deno.test("removing takes files and links, and what is absent already", () => {
  using dir = new Scratch();
  const victim = dir.file("victim", "precious");
  Deno.symlinkSync(victim, dir.at("link"));
  makeFifo(dir.at("fifo"));
  for (const name of ["link", "fifo", "absent", "absent/below"]) removeDurable(dir.at(name));
  assertEquals(dir.names(), ["victim"]);
});

Deno.test("removing a tree takes whatever is there, and never follows a link", () => {
  using dir = new Scratch();
  ensureDirectory(dir.at("outside"));
  dir.file("outside/precious", "x");
  ensureDirectory(dir.at("tree/a/b"));
  dir.file("tree/a/b/c", "x");
  makeFifo(dir.at("tree/fifo"));
  Deno.symlinkSync(dir.at("outside"), dir.at("tree/link"));
  Deno.symlinkSync(dir.at("outside"), dir.at("link"));
  dir.file("file", "x");
  for (const name of ["tree", "link", "file", "absent"]) removeTreeDurable(dir.at(name));
  assertEquals(dir.names(), ["outside"]);
  assertEquals(Deno.readTextFileSync(dir.at("outside/precious")), "x");
});

Deno.test("a directory is made with its parents and the exact mode, and kept when it is there", () => {
  using dir = new Scratch();
  ensureDirectory(dir.at("a/b/c"), { mode: 0o755 });
  assertEquals(["a", "a/b", "a/b/c"].map((name) => modeOf(dir.at(name))), [0o755, 0o755, 0o755]);
  ensureDirectory(dir.at("a/b"), { mode: 0o700 });
  ensureDirectory(`${dir.at("a/b")}/`);
  assertEquals(modeOf(dir.at("a/b")), 0o755);
  ensureDirectory(dir.at("private"), { mode: 0o700 });
  assertEquals(modeOf(dir.at("private")), 0o700);
});

Deno.test("something else in a directory's place is refused, a link to a directory too", () => {
  using dir = new Scratch();
  dir.file("file", "x");
  ensureDirectory(dir.at("real"));
  Deno.symlinkSync(dir.at("real"), dir.at("link"));
  Deno.symlinkSync(dir.at("absent"), dir.at("dangling"));
  for (const name of ["file", "link", "dangling"]) {
    const error = assertThrows(() => ensureDirectory(dir.at(name)), OngridError);
    assertStringIncludes(describeError(error).message, "something else of that name");
  }
  assertThrows(() => ensureDirectory(dir.at("file/below")), OngridError);
  // A link further up is an operator's choice of disk.
  ensureDirectory(dir.at("link/below"));
  assert(Deno.lstatSync(dir.at("real/below")).isDirectory);
});

Deno.test("syncing a directory that is not there says which", () => {
  using dir = new Scratch();
  const error = assertThrows(() => syncDirectory(dir.at("absent")), OngridError);
  assertStringIncludes(error.message, dir.at("absent"));
  syncDirectory(dir.path);
});

Deno.test("what killed writes left is swept, and nothing else", () => {
  using dir = new Scratch();
  const stray = `.state.json.${crypto.randomUUID()}.tmp`;
  for (const name of [stray, "state.json", ".hidden.tmp", "x.tmp", `${stray}.keep`]) {
    dir.file(name, "x");
  }
  ensureDirectory(dir.at(`.d.${crypto.randomUUID()}.tmp`));
  sweepTemporaries(dir.path);
  sweepTemporaries(dir.at("absent"));
  assertEquals(dir.names().filter((name) => !name.startsWith(".d.")), [
    ".hidden.tmp",
    `${stray}.keep`,
    "state.json",
    "x.tmp",
  ]);
  assertEquals(dir.names().length, 5);
});

Deno.test("a killed write leaves the old content and a name that is swept", async () => {
  using dir = new Scratch();
  dir.file("state", "old");
  // Killed by itself at the rename: as far as a write can get without being done.
  const code = `Deno.renameSync = () => Deno.kill(Deno.pid, "SIGKILL");
    writeFileDurable("state", "new");`;
  const { signal } = await runProgram(code, { cwd: dir.path });
  assertEquals(signal, "SIGKILL");
  assertEquals(Deno.readTextFileSync(dir.at("state")), "old");
  assertEquals(dir.names().length, 2);
  sweepTemporaries(dir.path);
  assertEquals(dir.names(), ["state"]);
});

Deno.test({
  name: "without permission an ordinary user is told what to do",
  ignore: skip("root may write everywhere", { when: IS_ROOT }),
  fn() {
    const error = assertThrows(() => writeFileDurable("/etc/ongrid-test", "x"), OngridError);
    const { message, hint } = describeError(error);
    assertStringIncludes(message, "Cannot write /etc/ongrid-test");
    assertStringIncludes(message, "permission denied");
    assertStringIncludes(hint ?? "", "root");
  },
});

function hasSecondFilesystem(): boolean {
  try {
    return Deno.statSync("/dev/shm").dev !== Deno.statSync(Deno.env.get("TMPDIR") ?? "/tmp").dev;
  } catch (e) {
    if (e instanceof Deno.errors.NotFound) return false;
    throw e;
  }
}
