import type { EdgeOptions } from "../../../lib/tunnel/edge_client.ts";
import { type TestEdge, testEdge } from "./edge.ts";
import { RawPeer } from "./raw_peer.ts";

/** A client and, packet by packet, the broker that it talks to. */
export async function dialogue(
  options: Partial<EdgeOptions> = {},
): Promise<{ server: RawPeer; connecting: Promise<TestEdge> }> {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const connecting = testEdge(listener.addr.port, 7, options);
  connecting.catch(() => {}); // looked at by the tests that expect it
  return { server: new RawPeer(await listener.accept()), connecting };
}

export async function accept(server: RawPeer): Promise<void> {
  const { packetId } = await server.expect("Conn");
  await server.send({ type: "ConnAck", packetId, ret: 0, clientId: 7n, body: {} });
}

/** Answers the client's goodbye as the existing broker does. */
export async function sayGoodbye(server: RawPeer): Promise<void> {
  const { packetId, sessionId } = await server.expect("Dismiss");
  await server.send(
    { type: "DismissAck", packetId, sessionId, body: {} },
    { type: "Dismiss", packetId: 3n, sessionId: 1n, body: {} },
  );
  await server.expect("DismissAck");
  const bye = await server.expect("DisConn");
  await server.send(
    { type: "DisConn", packetId: 5n },
    { type: "DisConnAck", packetId: bye.packetId, ret: 0, body: {} },
  );
  await server.expect("DisConnAck");
  await server.end();
}
