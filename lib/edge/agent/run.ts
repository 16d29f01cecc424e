/** The service: stays connected to its manager until it leaves to be upgraded or is stopped. */

import { describeError, ProtocolError } from "../../cli/errors.ts";
import { formatDuration } from "../../cli/duration.ts";
import type { Output } from "../../cli/output.ts";
import { sanitizeLine } from "../../cli/sanitize.ts";
import type { EdgeConnection } from "../../tunnel/edge_client.ts";
import type { EdgePaths } from "../paths.ts";
import { Backoff } from "./backoff.ts";
import { cleanUp } from "./cleanup.ts";
import type { AgentConfig } from "./config.ts";
import { ENV_FILE } from "./config.ts";
import type { AgentEffects } from "./effects.ts";
import { hostInfo } from "./host_info.ts";
import { createOpener } from "./http.ts";
import { encodeBody } from "./json.ts";
import { Leave } from "./leave.ts";
import { agentMethods } from "./methods.ts";
import { Probation } from "./probation.ts";
import { runSession } from "./session.ts";
import { Stager } from "./stager.ts";
import { statusFlags } from "./status_flags.ts";
import { readUpgradeState } from "./upgrade_state.ts";

/** What the service works with. */
export interface RunOptions {
  readonly config: AgentConfig;
  readonly paths: EdgePaths;
  /** The agent's version. */
  readonly version: string;
  readonly output: Pick<Output, "info" | "warn" | "error">;
  readonly effects: AgentEffects;
  /** Aborted when the service is stopped. */
  readonly stop: AbortSignal;
}

/** Time for an orderly goodbye to the manager in milliseconds: a stop may take 2 s in all. */
const GOODBYE_MS = 1_500;

/** Time for a staging to notice that it is given up, in milliseconds, beside the goodbye. */
const STAGING_END_MS = 300;

/** Longest text of a peer that is logged or put into a verdict, in characters. */
const MAX_PEER_TEXT_CHARS = 500;

/** Runs the service. Returns its exit code: 0 to be upgraded or stopped, 75 to be rolled back. */
export async function runAgent(options: RunOptions): Promise<number> {
  const { stop, effects } = options;
  const leave = new Leave(effects.sleep);
  const stopped = () => leave.now({ exitCode: 0, reason: "stopping" });
  stop.addEventListener("abort", stopped, { once: true });
  if (stop.aborted) stopped();
  const agent = new Agent(options, leave);
  try {
    agent.prepare();
    await agent.stayConnected();
  } finally {
    stop.removeEventListener("abort", stopped);
    await agent.end();
  }
  const departure = leave.departure;
  options.output.info(departure?.reason ?? "leaving");
  return departure?.exitCode ?? 0;
}

class Agent {
  readonly #options: RunOptions;
  readonly #leave: Leave;
  readonly #stager: Stager;
  readonly #backoff: Backoff;
  #probation: Probation | undefined;
  /** What the log said last; a state is said once. */
  #said = "";
  #problem: string | undefined;

  constructor(options: RunOptions, leave: Leave) {
    this.#options = options;
    this.#leave = leave;
    this.#backoff = new Backoff(options.effects.random);
    this.#stager = new Stager({
      paths: options.paths,
      version: options.version,
      effects: options.effects,
      openUrl: createOpener({ ca: options.config.ca }),
      onWarning: (message) => options.output.warn(message),
    });
    leave.signal.addEventListener(
      "abort",
      () => void this.#stager.abort("the agent is leaving"),
      { once: true },
    );
  }

  /** Cleans up after a killed run and begins probation where an upgrade is unsettled. */
  prepare(): void {
    const { output, paths, version, config, effects } = this.#options;
    const { store } = this.#stager;
    try {
      store.ensure();
      if (Deno.uid() === 0 && Deno.lstatSync(store.path).uid !== 0) {
        output.warn(
          `running as root in ${store.path}, which belongs to another account: ` +
            "what is written now may be in the way of the agent that runs as it",
        );
      }
      using lock = store.tryLock();
      const removed = lock ? cleanUp(store, effects.now()) : [];
      if (removed.length > 0) output.info(`removed leftovers: ${removed.join(", ")}`);
    } catch (error) {
      // It can still connect and say what it is; staging will fail with the same reason.
      output.warn(`cannot prepare the state directory: ${describeError(error).message}`);
    }
    const { armed, unsettled } = readUpgradeState(paths, version);
    if (!unsettled || config.probationMs === 0) return;
    output.info(`${armed} is on probation for ${formatDuration(config.probationMs)}`);
    this.#probation = new Probation({
      milliseconds: config.probationMs,
      version: armed || version,
      store,
      leave: this.#leave,
      effects,
      lastProblem: () => this.#problem,
      warn: (message) => output.warn(message),
    });
  }

  /** Connects, and again, until the agent leaves. */
  async stayConnected(): Promise<void> {
    const { effects } = this.#options;
    while (!this.#leave.signal.aborted) {
      const wait = await this.#connectOnce();
      await effects.sleep(wait, this.#leave.signal);
    }
  }

  /** Waits until what was under way has ended; a download keeps what it has. */
  async end(): Promise<void> {
    this.#leave.now({ exitCode: 0, reason: "leaving" });
    await this.#within(STAGING_END_MS, this.#stager.abort("the agent is leaving"));
  }

  /** One connection. Returns how long to wait before the next, in milliseconds. */
  async #connectOnce(): Promise<number> {
    const { config, effects } = this.#options;
    let connection: EdgeConnection | undefined;
    try {
      connection = await effects.connect({
        hostname: config.hostname,
        port: config.port,
        ...(config.ca === undefined ? {} : { tls: { caCerts: [config.ca] } }),
        meta: encodeBody({ access_key: config.accessKey, secret_key: config.secretKey }),
        methods: agentMethods({
          stager: this.#stager,
          leave: this.#leave,
          applyGraceMs: config.applyGraceMs,
        }),
        signal: this.#leave.signal,
      });
      const reason = await this.#serve(connection);
      if (this.#leave.signal.aborted) return 0;
      this.#say("warn", `lost the manager at ${this.#manager}: ${brief(reason)}; reconnecting`);
    } catch (error) {
      if (this.#leave.signal.aborted) return 0;
      return this.#failed(error);
    } finally {
      if (connection) await this.#within(GOODBYE_MS, connection.close());
    }
    return this.#backoff.next();
  }

  #serve(connection: EdgeConnection): Promise<string> {
    const { paths, version, effects, output } = this.#options;
    return runSession({
      connection,
      version,
      hostInfo,
      upgrade: () => readUpgradeState(paths, version).report,
      statusFlags: () => this.#statusFlags(),
      effects,
      signal: this.#leave.signal,
      warn: (message) => output.warn(brief(message)),
      onAccepted: (edgeId) => {
        this.#probation?.passed();
        this.#problem = undefined;
        this.#markHealthy();
        this.#say("info", `connected to ${this.#manager} as edge ${edgeId}`);
      },
      // Not when accepted: two hosts with one key turn each other out as soon as they are.
      onHeartbeat: () => this.#backoff.reset(),
    });
  }

  #statusFlags(): Record<string, string> | undefined {
    try {
      return statusFlags(this.#stager);
    } catch {
      // A state directory that cannot be read is no reason to lose the manager: whoever asks for
      // an upgrade is told what is wrong with it.
      return undefined;
    }
  }

  #markHealthy(): void {
    const { output, version } = this.#options;
    try {
      this.#stager.store.markHealthy(version);
    } catch (error) {
      output.error(
        `cannot write the health marker: ${describeError(error).message}; ` +
          "an upgrade that waits for it will be rolled back",
      );
    }
  }

  /** Says why, and how long to wait, in milliseconds. */
  #failed(error: unknown): number {
    const message = brief(describeError(error).message);
    const manager = this.#manager;
    this.#problem = message;
    if (
      error instanceof ProtocolError && error.kind === "refused" && /unauthorized/.test(message)
    ) {
      this.#say(
        "error",
        `the manager at ${manager} refuses this edge: ${message}; check ` +
          `ONGRID_EDGE_ACCESS_KEY and ONGRID_EDGE_SECRET_KEY in ${ENV_FILE}, or enrol it again`,
      );
      return this.#backoff.slow();
    }
    this.#say("warn", `cannot connect to the manager at ${manager}: ${message}; trying again`);
    return this.#backoff.next();
  }

  get #manager(): string {
    const { hostname, port } = this.#options.config;
    return hostname.includes(":") ? `[${hostname}]:${port}` : `${hostname}:${port}`;
  }

  #say(level: "info" | "warn" | "error", message: string): void {
    if (message === this.#said) return;
    this.#said = message;
    this.#options.output[level](message);
  }

  /** Waits for the end of `work`, but not longer; what it throws is only worth a warning now. */
  async #within(milliseconds: number, work: Promise<unknown>): Promise<void> {
    const late = Promise.withResolvers<void>();
    const timer = setTimeout(late.resolve, milliseconds);
    const finished = work.catch((error) => {
      this.#options.output.warn(`while leaving: ${describeError(error).message}`);
    });
    await Promise.race([finished, late.promise]);
    clearTimeout(timer);
  }
}

/** What a peer said, on one line that a log and a marker file can take. */
function brief(text: string): string {
  return sanitizeLine(text.slice(0, MAX_PEER_TEXT_CHARS));
}
