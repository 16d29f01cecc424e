import { join } from "@std/path";
import { type Effects, systemEffects } from "../../../lib/fleet/effects.ts";
import { type Manager, type ManagerOptions, startManager } from "../../../lib/fleet/manager.ts";
import { DEFAULT_PUSH_SETTINGS } from "../../../lib/fleet/push_state.ts";
import { PasswordHasher } from "../../../lib/fleet/passwords.ts";
import { hashSecret } from "../../../lib/fleet/secrets.ts";
import { openSqliteStore } from "../../../lib/fleet/sqlite/open.ts";
import type { JsonObject } from "../../../lib/fleet/values.ts";
import { FakeEdge, FakeGateway } from "./fake_gateway.ts";

/** The account of every test manager. */
export const ADMIN = { email: "admin@example.com", password: "correct horse battery" };

/** A token of that account that every test manager knows from the start. */
const TOKEN = "a-token-for-tests-that-is-long-enough";

let seeded: Promise<Uint8Array> | undefined;

/** A database with the account and its token: hashing the password anew for each test is slow. */
function seededDatabase(): Promise<Uint8Array> {
  seeded ??= makeSeed();
  return seeded;
}

async function makeSeed(): Promise<Uint8Array> {
  const path = Deno.makeTempFileSync({ prefix: "ongrid-fleet-", suffix: ".db" });
  try {
    const { users, close } = openSqliteStore(path);
    const passwordHash = await new PasswordHasher(systemEffects).hash(ADMIN.password);
    const user = await users.add({ email: ADMIN.email, passwordHash, role: "admin", now: 0 });
    const expiresAt = Number.MAX_SAFE_INTEGER;
    await users.addToken({ hash: hashSecret(TOKEN), userId: user.id, now: 0, expiresAt });
    await close();
    return Deno.readFileSync(path);
  } finally {
    Deno.removeSync(path);
  }
}

/** An answer of the API. */
export interface ApiAnswer {
  status: number;
  /** The JSON body; an empty object when it is none. */
  body: JsonObject;
  text: string;
  headers: Headers;
}

/** A manager in a temporary directory, with a gateway in memory. */
export class TestManager {
  readonly directory: string;
  readonly log: string[] = [];
  /** Every answer of the API as text. */
  readonly answers: string[] = [];
  readonly #overrides: Partial<ManagerOptions>;
  #gateway: FakeGateway | undefined;
  #manager: Manager | undefined;
  #token = "";
  #seeded = false;

  constructor(overrides: Partial<ManagerOptions> = {}) {
    this.directory = Deno.makeTempDirSync({ prefix: "ongrid-fleet-" });
    Deno.mkdirSync(this.bundles);
    this.#overrides = overrides;
    this.#token = TOKEN;
  }

  get bundles(): string {
    return join(this.directory, "edge");
  }

  get database(): string {
    return join(this.directory, "manager.db");
  }

  get gateway(): FakeGateway {
    if (this.#gateway === undefined) throw new Error("not started");
    return this.#gateway;
  }

  get url(): string {
    return `http://${this.#manager?.httpAddress}`;
  }

  get token(): string {
    return this.#token;
  }

  get adminPassword(): string | undefined {
    return this.#manager?.adminPassword;
  }

  /** Starts it, also again on what an earlier start left, and logs in. */
  async start(): Promise<void> {
    if (!this.#seeded) Deno.writeFileSync(this.database, await seededDatabase());
    this.#seeded = true;
    const note = (message: string) => void this.log.push(message);
    this.#manager = await startManager({
      databasePath: this.database,
      http: { hostname: "127.0.0.1", port: 0 },
      publicUrl: "http://manager.test",
      bundleDirectory: this.bundles,
      version: "v2.0.0",
      tokenTtlMs: 60_000,
      admin: ADMIN,
      settings: FAST_SETTINGS,
      reconnectMs: 0,
      effects: systemEffects,
      log: { info: note, warn: note, error: note },
      openGateway: (handlers) => {
        this.#gateway = new FakeGateway(handlers);
        return Promise.resolve(this.#gateway);
      },
      ...this.#overrides,
    });
  }

  /** Starts it on an empty registry: nobody has an account yet. */
  async startFresh(): Promise<void> {
    this.#seeded = true;
    await this.start();
  }

  /** A manager that finds what this one, still running, would leave if it were killed right now. */
  copyOfState(): TestManager {
    const copy = new TestManager(this.#overrides);
    for (const suffix of ["", "-wal"]) {
      Deno.copyFileSync(`${this.database}${suffix}`, `${copy.database}${suffix}`);
    }
    copy.#seeded = true;
    return copy;
  }

  /** Stops it; the directory stays for another start. */
  async stop(): Promise<void> {
    await this.#manager?.close();
    this.#manager = undefined;
  }

  /** Stops it and removes what it left. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    Deno.removeSync(this.directory, { recursive: true });
  }

  async login(account: { email: string; password: string } = ADMIN): Promise<string> {
    const { body } = await this.api("POST", "/api/v1/auth/login", { body: account, token: "" });
    return String(body.access_token);
  }

  /** Calls the API, as the administrator unless another token is given. */
  async api(
    method: string,
    path: string,
    { body, token = this.#token }: { body?: unknown; token?: string } = {},
  ): Promise<ApiAnswer> {
    const response = await fetch(`${this.url}${path}`, {
      method,
      headers: token === "" ? {} : { authorization: `Bearer ${token}` },
      ...(body === undefined
        ? {}
        : { body: typeof body === "string" ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    this.answers.push(text);
    const isJson = response.headers.get("content-type") === "application/json";
    return {
      status: response.status,
      body: isJson ? JSON.parse(text) : {},
      text,
      headers: response.headers,
    };
  }

  /** Enrols an edge; it is not connected yet. */
  async enrol(name: string, version = "v1.0.0"): Promise<FakeEdge> {
    const { body } = await this.api("POST", "/api/v1/edges", { body: { name } });
    const credentials = {
      access_key: String(body.access_key_id),
      secret_key: String(body.secret_key),
    };
    return new FakeEdge(credentials, version);
  }

  /** Enrols an edge and connects it. */
  async addEdge(name: string, version = "v1.0.0"): Promise<FakeEdge> {
    const edge = await this.enrol(name, version);
    await edge.connect(this.gateway);
    return edge;
  }

  /** Puts a bundle and its sidecar into the edge directory. */
  addBundle(version: string, { arch = "linux-amd64", sha256 = "a".repeat(64) } = {}): string {
    const file = `edge-bundle-${arch}-${version}.tar.gz`;
    Deno.writeTextFileSync(join(this.bundles, file), `bundle ${version}`);
    Deno.writeTextFileSync(join(this.bundles, `${file}.sha256`), `${sha256}\n`);
    return file;
  }

  /** The newest upgrade of an edge. */
  async lastUpgrade(edge: FakeEdge): Promise<JsonObject> {
    const { body } = await this.api("GET", `/api/v1/edges/${edge.id}/upgrades`);
    const [newest] = body.items as JsonObject[];
    return newest ?? {};
  }
}

/** Everything that waits waits briefly; limits stay too long to be met by accident. */
export const FAST_SETTINGS = {
  ...DEFAULT_PUSH_SETTINGS,
  pauseMs: 1,
  probeMs: 1,
  unknownMethodMs: 1,
};

/** A started manager with the bundle v2.0.0. */
export async function startTestManager(
  overrides: Partial<ManagerOptions> = {},
): Promise<TestManager> {
  const manager = new TestManager(overrides);
  manager.addBundle("v2.0.0");
  await manager.start();
  return manager;
}

/** Effects with a clock of its own that stands still until it is moved. */
export function clockedEffects(start = 1_000_000): Effects & { move(ms: number): void } {
  let now = start;
  return { ...systemEffects, now: () => now, move: (ms) => void (now += ms) };
}
