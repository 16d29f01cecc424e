/** A built manager as a process, with a registry of its own, on the loopback address alone. */

import { join } from "@std/path";
import { OngridError } from "../lib/cli/errors.ts";
import { FleetApi } from "./fleet_api.ts";
import { linesOf } from "./lines.ts";
import type { Child, Processes } from "./processes.ts";

/** How a manager is run. */
export interface ManagerProcessOptions {
  readonly processes: Processes;
  /** The program. */
  readonly program: string;
  /** For its registry and its log; made where it is absent. */
  readonly directory: string;
  /** Holds the bundles that it serves. */
  readonly bundleDirectory: string;
  /** Further settings. */
  readonly env?: Readonly<Record<string, string>>;
}

/** The administrator of every such manager. */
const EMAIL = "demo@localhost";

/** How long a manager may take to begin to listen, in milliseconds. */
const START_MS = 20_000;

/** Where a manager listens: `host:port`. */
interface Addresses {
  readonly http: string;
  readonly edgebound: string;
}

/** One manager, which can be stopped and started again with what it knows. */
export class ManagerProcess {
  readonly log: string;
  readonly database: string;
  readonly email = EMAIL;
  readonly password = crypto.randomUUID();
  readonly #options: ManagerProcessOptions;
  #addresses: Addresses = { http: "127.0.0.1:0", edgebound: "127.0.0.1:0" };
  #child: Child | undefined;

  constructor(options: ManagerProcessOptions) {
    this.#options = options;
    Deno.mkdirSync(options.directory, { recursive: true });
    this.log = join(options.directory, "manager.log");
    this.database = join(options.directory, "manager.db");
  }

  /** Where people and edges find it over HTTP. */
  get url(): string {
    return `http://${this.#addresses.http}`;
  }

  /** `host:port` that agents connect to. */
  get edgeAddress(): string {
    return this.#addresses.edgebound;
  }

  /**
   * Starts it and waits until it listens: the first time on any ports, then on the same ones again.
   *
   * @throws {OngridError} It ends, or does not listen in time.
   */
  async start(): Promise<void> {
    const { processes, program, bundleDirectory, env = {} } = this.#options;
    const child = processes.spawn({
      command: [program, "run", "--json"],
      env: {
        PATH: "/usr/bin:/bin",
        HOME: this.#options.directory,
        ONGRID_HTTP_ADDR: this.#addresses.http,
        ONGRID_EDGEBOUND_ADDR: this.#addresses.edgebound,
        ONGRID_EDGE_BUNDLE_DIR: bundleDirectory,
        ONGRID_DB_PATH: this.database,
        ONGRID_ADMIN_EMAIL: this.email,
        ONGRID_ADMIN_PASSWORD: this.password,
        ...env,
      },
      log: this.log,
      stdout: "piped",
    });
    this.#child = child;
    this.#addresses = await this.#listening(child);
  }

  /** A client with a login of the administrator's. */
  async login(): Promise<FleetApi> {
    return await FleetApi.login(this.url, this.email, this.password);
  }

  /** Ends it in order. */
  async stop(): Promise<void> {
    await this.#child?.stop();
  }

  /** Ends it as a power cut does. */
  async kill(): Promise<void> {
    this.#child?.signal("SIGKILL");
    await this.#child?.status;
  }

  async #listening(child: Child): Promise<Addresses> {
    const { promise, resolve, reject } = Promise.withResolvers<Addresses>();
    const fail = (what: string) =>
      reject(new OngridError(`The manager ${what}`, { hint: `See ${this.log}.` }));
    void this.#readEvents(child, resolve).then(() => fail("ended before it listened"));
    const timer = setTimeout(() => fail(`does not listen after ${START_MS / 1000} s`), START_MS);
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Until the end of its output: a manager that nobody listens to would come to a halt. */
  async #readEvents(child: Child, found: (addresses: Addresses) => void): Promise<void> {
    if (child.stdout === undefined) return;
    for await (const line of linesOf(child.stdout)) {
      const event: unknown = JSON.parse(line);
      if (isListening(event)) found({ http: event.http, edgebound: event.edgebound });
    }
  }
}

function isListening(event: unknown): event is { http: string; edgebound: string } {
  return typeof event === "object" && event !== null && "event" in event &&
    event.event === "listening" && "http" in event && typeof event.http === "string" &&
    "edgebound" in event && typeof event.edgebound === "string";
}
