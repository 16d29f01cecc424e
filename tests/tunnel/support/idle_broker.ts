/**
 * A broker in a process of its own: prints its port, then, for each line on its standard input,
 * how many bytes are alive in its heap and its buffers after a garbage collection.
 */
import { testBroker } from "./test_broker.ts";

declare const gc: () => void;

const broker = await testBroker();
const say = (value: number) => Deno.stdout.write(new TextEncoder().encode(`${value}\n`));
await say(broker.port);
const line = new Uint8Array(16);
while (await Deno.stdin.read(line) !== null) {
  gc();
  gc();
  const { heapUsed, external } = Deno.memoryUsage();
  await say(heapUsed + external);
}
await broker.close();
