import { type BrokerOptions, type EdgeBroker, startBroker } from "../../../lib/tunnel/broker.ts";
import type { EdgePeer, GatewayHandlers } from "../../../lib/tunnel/gateway.ts";

export const encode = (text: string): Uint8Array => new TextEncoder().encode(text);
export const decode = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

/** What an edge introduces itself with; the id is what it will get. */
export function metaOf(id: number, secret = "right"): Uint8Array {
  return encode(JSON.stringify({ access_key: `${id}`, secret_key: secret }));
}

/** A broker on a free port with a manager that writes down what it is told. */
export interface TestBroker extends EdgeBroker {
  /** `online 7 127.0.0.1:1234`, `offline …`, in order. */
  readonly events: string[];
  readonly warnings: string[];
  [Symbol.asyncDispose](): Promise<void>;
}

/** Secrets other than "right" are `unauthorized`; method `echo` answers its body. */
export async function testBroker(
  options: Partial<Omit<BrokerOptions, "handlers">> & { handlers?: Partial<GatewayHandlers> } = {},
): Promise<TestBroker> {
  const events: string[] = [];
  const warnings: string[] = [];
  const say = (event: string, peer: EdgePeer) =>
    events.push(`${event} ${peer.edgeId} ${peer.address}`);
  const handlers: GatewayHandlers = {
    getEdgeId: (meta) => {
      const { access_key, secret_key } = JSON.parse(decode(meta));
      if (secret_key !== "right") return Promise.reject(new Error("unauthorized"));
      return Promise.resolve(BigInt(access_key));
    },
    edgeOnline: (peer) => {
      say("online", peer);
      return Promise.resolve();
    },
    edgeOffline: (peer) => void say("offline", peer),
    call: (_id, method, body) =>
      method === "echo"
        ? Promise.resolve(body)
        : Promise.reject(new Error(`no such rpc: ${method}`)),
    ...options.handlers,
  };
  const broker = await startBroker({
    hostname: "127.0.0.1",
    port: 0,
    warn: (message) => void warnings.push(message),
    ...options,
    handlers,
  });
  return Object.assign(broker, {
    events,
    warnings,
    [Symbol.asyncDispose]: () => broker.close(),
  });
}
