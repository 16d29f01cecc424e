/** The far end of the tunnel for tests: lets one edge in and writes down what it says. */

import { type EdgeBroker, startBroker } from "../../../../lib/tunnel/broker.ts";

/** The credentials that this manager knows. */
export const KEYS = { access_key: "AK1", secret_key: "SK1" };

/** One call of an edge. */
export interface SeenCall {
  method: string;
  /** The body as it came. */
  text: string;
}

/** A running manager. */
export interface TestManager extends AsyncDisposable {
  readonly port: number;
  readonly calls: SeenCall[];
  /** Introductions, accepted or not, as they came. */
  readonly metas: string[];
  /** True while the edge is connected. */
  readonly online: () => boolean;
  /** Calls the edge; JSON in and out. */
  call(method: string, body: unknown, signal?: AbortSignal): Promise<Record<string, unknown>>;
  /** Bodies of one method, parsed. */
  bodies(method: string): Record<string, unknown>[];
}

/** What a test changes. */
export interface ManagerOptions {
  edgeId?: bigint;
  port?: number;
  /** Answers a call of the edge; undefined leaves the ordinary answer. Throws to refuse. */
  answer?: (method: string, number: number) => string | undefined;
  tls?: { cert: string; key: string };
}

/** Starts a manager on a free port. */
export async function startManager(options: ManagerOptions = {}): Promise<TestManager> {
  const { edgeId = 7n } = options;
  const calls: SeenCall[] = [];
  const metas: string[] = [];
  let connections = 0;
  const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  const encode = (text: string) => new TextEncoder().encode(text);
  const broker: EdgeBroker = await startBroker({
    hostname: "127.0.0.1",
    port: options.port ?? 0,
    sendCancel: true,
    ...(options.tls ? { tls: options.tls } : {}),
    handlers: {
      getEdgeId: (meta) => {
        metas.push(decode(meta));
        return decode(meta) === JSON.stringify(KEYS)
          ? Promise.resolve(edgeId)
          : Promise.reject(new Error("unauthorized"));
      },
      edgeOnline: () => {
        connections++;
        return Promise.resolve();
      },
      edgeOffline: () => {
        connections--;
      },
      call: (_edge, method, body) => {
        calls.push({ method, text: decode(body) });
        const number = calls.filter((each) => each.method === method).length;
        try {
          const ordinary = method === "register_edge"
            ? `{"edge_id":${edgeId},"server_time":1}`
            : "{}";
          return Promise.resolve(encode(options.answer?.(method, number) ?? ordinary));
        } catch (error) {
          return Promise.reject(error);
        }
      },
    },
  });
  return {
    port: broker.port,
    calls,
    metas,
    online: () => connections > 0,
    async call(method, body, signal) {
      const answer = await broker.call(
        edgeId,
        method,
        encode(JSON.stringify(body)),
        signal ? { signal } : {},
      );
      return JSON.parse(decode(answer));
    },
    bodies: (method) =>
      calls.filter((call) => call.method === method).map((call) => JSON.parse(call.text)),
    async [Symbol.asyncDispose]() {
      await broker.close();
    },
  };
}
