/** The agent as a service: in this process, or as a process that can be killed. */

import { fromFileUrl } from "@std/path";
import type { AgentConfig } from "../../../../lib/edge/agent/config.ts";
import type { AgentEffects } from "../../../../lib/edge/agent/effects.ts";
import { runAgent } from "../../../../lib/edge/agent/run.ts";
import { quickEffects, TEST_VERSION, type TestHost } from "./host.ts";
import { KEYS } from "./manager.ts";

const MAIN = fromFileUrl(new URL("../../../../edge-agent.ts", import.meta.url));

/** An agent that runs in this process. */
export interface TestService extends AsyncDisposable {
  /** Resolves with the exit code. */
  readonly exit: Promise<number>;
  /** What it said, with the level before it. */
  readonly log: string[];
  stop(): void;
}

/** Starts the agent in this process, a hundred times as fast as in life. */
export function startService(
  host: TestHost,
  port: number,
  changes: { config?: Partial<AgentConfig>; effects?: AgentEffects; version?: string } = {},
): TestService {
  const stop = new AbortController();
  const log: string[] = [];
  const say = (level: string) => (message: string) => void log.push(`${level}: ${message}`);
  const exit = runAgent({
    config: {
      hostname: "127.0.0.1",
      port,
      accessKey: KEYS.access_key,
      secretKey: KEYS.secret_key,
      ca: undefined,
      probationMs: 600_000,
      applyGraceMs: 5_000,
      ...changes.config,
    },
    paths: host.paths,
    version: changes.version ?? TEST_VERSION,
    output: { info: say("info"), warn: say("warn"), error: say("error") },
    effects: changes.effects ?? quickEffects(),
    stop: stop.signal,
  });
  return {
    exit,
    log,
    stop: () => stop.abort(),
    async [Symbol.asyncDispose]() {
      stop.abort();
      await exit;
    },
  };
}

/** A program that ran to its end. */
export interface Ended {
  code: number;
  stdout: string;
  stderr: string;
}

/** Environment of the agent's process: nothing of the one that runs the tests. */
export function processEnv(
  host: TestHost,
  more: Record<string, string> = {},
): Record<string, string> {
  const inherited: Record<string, string> = {};
  for (const name of ["PATH", "HOME", "DENO_DIR", "DENO_NO_UPDATE_CHECK"]) {
    const value = Deno.env.get(name);
    if (value !== undefined) inherited[name] = value;
  }
  return { ...inherited, DENO_NO_UPDATE_CHECK: "1", ...host.env(), ...more };
}

/** How the agent is started as a process. */
export function agentCommand(
  host: TestHost,
  args: string[],
  env: Record<string, string> = {},
  stdin: "null" | "piped" = "null",
): Deno.Command {
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--quiet", MAIN, ...args],
    clearEnv: true,
    env: processEnv(host, env),
    stdin,
    stdout: "piped",
    stderr: "piped",
  });
}

/** Runs `ongrid-edge ARGS` to its end. */
export async function runCommand(
  host: TestHost,
  args: string[],
  env: Record<string, string> = {},
): Promise<Ended> {
  const { code, stdout, stderr } = await agentCommand(host, args, env).output();
  const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, stdout: decode(stdout), stderr: decode(stderr) };
}

/** The environment of a service of this host. */
export function serviceEnv(
  port: number,
  more: Record<string, string> = {},
): Record<string, string> {
  return {
    ONGRID_EDGE_CLOUD_ADDR: `127.0.0.1:${port}`,
    ONGRID_EDGE_ACCESS_KEY: KEYS.access_key,
    ONGRID_EDGE_SECRET_KEY: KEYS.secret_key,
    ...more,
  };
}

/** Starts the service as a process. */
export function startProcess(
  host: TestHost,
  port: number,
  more: Record<string, string> = {},
): Deno.ChildProcess {
  return agentCommand(host, [], serviceEnv(port, more)).spawn();
}
