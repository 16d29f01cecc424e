import {
  connectEdge,
  type EdgeConnection,
  type EdgeOptions,
} from "../../../lib/tunnel/edge_client.ts";
import { metaOf } from "./test_broker.ts";

/** A connected client that leaves at the end of its block. */
export type TestEdge = EdgeConnection & AsyncDisposable;

/** Connects edge `id` to a broker on this machine. */
export async function testEdge(
  port: number,
  id: number,
  options: Partial<EdgeOptions> = {},
): Promise<TestEdge> {
  const edge = await connectEdge({
    hostname: "127.0.0.1",
    port,
    meta: metaOf(id),
    methods: {},
    ...options,
  });
  return Object.assign(edge, { [Symbol.asyncDispose]: () => edge.close() });
}
