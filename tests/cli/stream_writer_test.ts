import { assertEquals, assertThrows } from "@std/assert";
import { streamWriter } from "../../lib/cli/stream_writer.ts";

Deno.test("text is written whole, though the stream takes it in pieces", () => {
  const taken: number[] = [];
  const write = streamWriter({
    writeSync(data) {
      const count = Math.min(3, data.length);
      taken.push(...data.subarray(0, count));
      return count;
    },
  });
  write("größer als drei");
  assertEquals(new TextDecoder().decode(new Uint8Array(taken)), "größer als drei");
});

Deno.test("a full pipe is waited for", () => {
  let attempts = 0;
  let written = "";
  const write = streamWriter({
    writeSync(data) {
      attempts += 1;
      if (attempts < 4) throw new Deno.errors.WouldBlock("full");
      written += new TextDecoder().decode(data);
      return data.length;
    },
  });
  write("patience");
  assertEquals([written, attempts], ["patience", 4]);
});

Deno.test("a reader that has gone ends the output, not the program", () => {
  let attempts = 0;
  const write = streamWriter({
    writeSync() {
      attempts += 1;
      throw new Deno.errors.BrokenPipe("nobody there");
    },
  });
  write("one");
  write("two");
  assertEquals(attempts, 1);
});

Deno.test("a hung-up terminal ends the output, not the program", () => {
  const write = streamWriter({
    writeSync() {
      throw Object.assign(new Error("Input/output error (os error 5)"), { code: "EIO" });
    },
  });
  write("one");
});

Deno.test("a real pipe that is closed is survived", async () => {
  const module = new URL("../../lib/cli/stream_writer.ts", import.meta.url);
  const code = `import { streamWriter } from ${JSON.stringify(module.href)};
    const write = streamWriter(Deno.stdout);
    for (let i = 0; i < 10000; i++) write("x".repeat(1000));
    Deno.exit(7);`;
  const child = new Deno.Command(Deno.execPath(), {
    args: ["eval", "--no-config", code],
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  await child.stdout.cancel();
  const [{ code: exit }, complaints] = await Promise.all([
    child.status,
    new Response(child.stderr).text(),
  ]);
  assertEquals([exit, complaints], [7, ""]);
});

Deno.test("other errors are not hidden", () => {
  const write = streamWriter({
    writeSync() {
      throw new TypeError("defect");
    },
  });
  assertThrows(() => write("x"), TypeError, "defect");
});
