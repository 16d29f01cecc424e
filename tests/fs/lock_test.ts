import { assertEquals, assertNotEquals, assertThrows } from "@std/assert";
import { ForeignFileError, OngridError } from "../../lib/cli/errors.ts";
import { acquireLock, lockHolder, tryAcquireLock } from "../../lib/fs/lock.ts";
import { skip } from "./process.ts";
import { IS_ROOT, makeFifo, modeOf, Scratch } from "./scratch.ts";

Deno.test("a free lock is taken at once, names its holder and is kept for others", () => {
  using dir = new Scratch();
  const lock = acquireLock(dir.at("lock"));
  assertEquals(lock.waited, false);
  assertEquals(lockHolder(dir.at("lock")), `${Deno.pid}`);
  assertEquals(modeOf(dir.at("lock")), 0o600);
  lock.release();
  lock.release();
  assertEquals(dir.names(), ["lock"]);
  using again = acquireLock(dir.at("lock"));
  assertEquals(again.waited, false);
});

Deno.test("a lock that is held cannot be had without waiting", () => {
  using dir = new Scratch();
  const lock = acquireLock(dir.at("lock"));
  assertEquals(tryAcquireLock(dir.at("lock")), undefined);
  lock.release();
  using free = tryAcquireLock(dir.at("lock"));
  assertEquals(free?.waited, false);
});

Deno.test("who had to wait is told so", async () => {
  using dir = new Scratch();
  const module = new URL("../../lib/fs/lock.ts", import.meta.url).href;
  const code = `const { acquireLock } = await import(${JSON.stringify(module)});
    console.log("asking");
    console.log("waited", acquireLock(${JSON.stringify(dir.at("lock"))}).waited);`;
  const lock = acquireLock(dir.at("lock"));
  const child = new Deno.Command(Deno.execPath(), {
    args: ["eval", "--no-check", code],
    stdout: "piped",
  }).spawn();
  await untilWaiting(child.pid);
  lock.release();
  const { stdout } = await child.output();
  assertEquals(new TextDecoder().decode(stdout), "asking\nwaited true\n");
  assertNotEquals(lockHolder(dir.at("lock")), `${Deno.pid}`);
});

Deno.test("a lock ends with the process that held it, however that ends", async () => {
  using dir = new Scratch();
  const module = new URL("../../lib/fs/lock.ts", import.meta.url).href;
  const code = `const { acquireLock } = await import(${JSON.stringify(module)});
    acquireLock(${JSON.stringify(dir.at("lock"))});
    Deno.kill(Deno.pid, "SIGKILL");`;
  const { signal } = await new Deno.Command(Deno.execPath(), {
    args: ["eval", "--no-check", code],
  }).output();
  assertEquals(signal, "SIGKILL");
  using lock = tryAcquireLock(dir.at("lock"));
  assertEquals(lock?.waited, false);
});

Deno.test("a lock that is no regular file is refused, and nothing is waited for", () => {
  using dir = new Scratch();
  makeFifo(dir.at("fifo"));
  const victim = dir.file("victim", "precious");
  Deno.symlinkSync(victim, dir.at("link"));
  for (const name of ["fifo", "link"]) {
    assertThrows(() => acquireLock(dir.at(name)), ForeignFileError, "is not a regular file");
    assertThrows(() => tryAcquireLock(dir.at(name)), ForeignFileError, "is not a regular file");
  }
  assertEquals(Deno.readTextFileSync(victim), "precious");
});

Deno.test("a lock in a directory that is not there says which", () => {
  using dir = new Scratch();
  const path = dir.at("absent/lock");
  assertThrows(() => acquireLock(path), OngridError, `Cannot open the lock ${path}`);
});

Deno.test("the holder of a lock that nobody took, or that holds nonsense, is unknown", () => {
  using dir = new Scratch();
  assertEquals(lockHolder(dir.at("absent")), undefined);
  assertEquals(lockHolder(dir.file("lock", "nonsense")), undefined);
});

Deno.test({
  name: "another account's lock is refused with the reason",
  ignore: skip("root may open every lock", { when: IS_ROOT }),
  fn() {
    using dir = new Scratch();
    const path = dir.file("lock", "");
    Deno.chmodSync(path, 0);
    assertThrows(() => acquireLock(path), OngridError, "Cannot open the lock");
  },
});

/** Waits until a process blocks on a lock, as the kernel tells. */
async function untilWaiting(pid: number): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (Date.now() < deadline) {
    const waiting = Deno.readTextFileSync("/proc/locks").split("\n")
      .some((line) => line.includes("->") && line.split(/\s+/).includes(`${pid}`));
    if (waiting) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  throw new Error(`process ${pid} never waited for the lock`);
}
