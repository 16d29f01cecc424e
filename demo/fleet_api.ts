/** What a demo or test asks of a manager over HTTP. */

import { OngridError } from "../lib/cli/errors.ts";

/** An edge that may connect. */
export interface Enrolled {
  readonly id: number;
  readonly name: string;
  readonly access_key_id: string;
  readonly secret_key: string;
}

/** An edge as the manager knows it. */
export interface EdgeInfo {
  readonly id: number;
  readonly name: string;
  readonly status: "online" | "offline";
  readonly agent_version?: string;
  readonly staging: { readonly phase: string; readonly percent: string } | null;
  readonly last_upgrade:
    | { readonly version: string; readonly state: string; readonly reason: string }
    | null;
}

/** One edge of a rollout. */
export interface PushInfo {
  readonly edge_id: number;
  readonly edge_name: string;
  readonly from_version: string;
  readonly target_version: string;
  readonly observed_version: string;
  readonly phase: string;
  readonly code?: string;
  readonly reason?: string;
}

/** A rollout. */
export interface RolloutInfo {
  readonly id: number;
  readonly target_version: string;
  readonly state: "running" | "succeeded" | "partial_failed" | "failed";
  readonly total: number;
  readonly counts: Readonly<Record<string, number>>;
  readonly message: string;
  readonly edges?: readonly PushInfo[];
}

/** Which edges to bring to which version. */
export interface RolloutOrder {
  readonly version: string;
  readonly edges: "all" | readonly number[];
  readonly concurrency?: number;
  readonly deadline_s?: number;
}

/** An answer as it came, for tests of what it says. */
export interface Answer {
  readonly status: number;
  readonly body: Record<string, unknown>;
}

/** A client with a token. The answers are the manager's own, and taken at its word. */
export class FleetApi {
  readonly url: string;
  readonly token: string;

  constructor(url: string, token: string) {
    this.url = url;
    this.token = token;
  }

  /** Logs in. Throws `OngridError` where the manager refuses. */
  static async login(url: string, email: string, password: string): Promise<FleetApi> {
    const answer = await new FleetApi(url, "").send("POST", "/api/v1/auth/login", {
      email,
      password,
    });
    return new FleetApi(url, String(checked(answer, "log in").access_token));
  }

  /** Enrols an edge. */
  async enrol(name: string): Promise<Enrolled> {
    const body = checked(await this.send("POST", "/api/v1/edges", { name }), `enrol ${name}`);
    return body as unknown as Enrolled;
  }

  /** All edges, by name. */
  async edges(): Promise<EdgeInfo[]> {
    const body = checked(await this.send("GET", "/api/v1/edges"), "list the edges");
    const edges = body.items as EdgeInfo[];
    return edges.sort((a, b) => a.name < b.name ? -1 : 1);
  }

  /** Begins a rollout. */
  async rollOut(order: RolloutOrder): Promise<RolloutInfo> {
    const answer = await this.send("POST", "/api/v1/rollouts", { ...order });
    return checked(answer, `roll out ${order.version}`) as unknown as RolloutInfo;
  }

  /** A rollout with its edges. */
  async rollout(id: number): Promise<RolloutInfo> {
    const answer = await this.send("GET", `/api/v1/rollouts/${id}`);
    return checked(answer, `look at rollout ${id}`) as unknown as RolloutInfo;
  }

  /** Pushes a version to one edge and waits for the answer, whatever it is. */
  async push(edgeId: number, version: string): Promise<Answer> {
    return await this.send("POST", `/api/v1/edges/${edgeId}/upgrade-package`, { version });
  }

  /** Sends one request. */
  async send(method: string, path: string, body?: Record<string, unknown>): Promise<Answer> {
    const headers: Record<string, string> = { authorization: `Bearer ${this.token}` };
    if (body !== undefined) headers["content-type"] = "application/json";
    const response = await fetch(`${this.url}${path}`, {
      method,
      headers,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    return { status: response.status, body: parsed(text) };
  }
}

function parsed(text: string): Record<string, unknown> {
  try {
    return JSON.parse(text);
  } catch (e) {
    if (e instanceof SyntaxError) return { error: text.trim() };
    throw e;
  }
}

function checked({ status, body }: Answer, what: string): Record<string, unknown> {
  if (status < 300) return body;
  throw new OngridError(`Cannot ${what}: the manager answers ${status}: ${body.error}`);
}
