/** A real manager inside a container, beside the edge that belongs to it. */

import { makeBundle } from "../../support/bundle_fixture.ts";
import type { Container } from "./nspawn.ts";
import { eventually } from "./nspawn.ts";
import type { EdgeHost, Files } from "./systemd_edge.ts";

/** Where edges reach it, in the container. */
export const CLOUD_ADDRESS = "127.0.0.1:40012";

const UNIT = `[Unit]
Before=ongrid-edge.service
[Service]
ExecStart=/opt/programs/manager
StateDirectory=ongrid-manager
Environment=ONGRID_DB_PATH=/var/lib/ongrid-manager/manager.db
Environment=ONGRID_HTTP_ADDR=127.0.0.1:8080 ONGRID_PUBLIC_URL=http://127.0.0.1:8080
Environment=ONGRID_EDGEBOUND_ADDR=${CLOUD_ADDRESS} ONGRID_EDGE_BUNDLE_DIR=/opt/bundles
Environment=ONGRID_ADMIN_EMAIL=admin@localhost ONGRID_ADMIN_PASSWORD=correct-horse-battery
[Install]
WantedBy=multi-user.target
`;

const DATABASE = "/var/lib/ongrid-manager/manager.db";

/** Calls the API from the network of the container; prints status and body. */
const CALL = `const [method, path, token, body] = Deno.args;
const response = await fetch("http://127.0.0.1:8080" + path, {
  method, headers: { authorization: "Bearer " + token }, ...(body ? { body } : {}),
});
console.log(JSON.stringify({ status: response.status, text: await response.text() }));`;

/** What the manager says about the edge. */
export interface EdgeView {
  readonly status: string;
  readonly agent_version?: string;
  readonly last_upgrade: { version: string; state: string; reason: string } | null;
}

/** A running manager with one edge enrolled. */
export class TestManager {
  readonly #container: Container;
  readonly #host: EdgeHost;
  readonly #token: string;
  /** What `install-edge` needs to know of the enrolment. */
  readonly keys: { readonly accessKey: string; readonly secretKey: string };

  private constructor(
    host: EdgeHost,
    token: string,
    keys: { accessKey: string; secretKey: string },
  ) {
    this.#host = host;
    this.#container = host.container;
    this.#token = token;
    this.keys = keys;
  }

  /** Starts it, now and at every boot, and enrols an edge. */
  static async start(host: EdgeHost): Promise<TestManager> {
    const { container } = host;
    host.write("etc/systemd/system/ongrid-manager.service", UNIT);
    await container.run(["systemctl", "enable", "--now", "ongrid-manager.service"]);
    const program = "/opt/programs/manager";
    const token = await eventually("the manager", async () => {
      const { code, stdout } = await container.attempt(
        [program, "token", "admin@localhost", "--db", DATABASE],
      );
      return code === 0 && stdout.trim();
    });
    const enrolled = await container.run(
      [program, "edge", "add", "host", "--json", "--db", DATABASE],
    );
    const { access_key_id, secret_key } = JSON.parse(enrolled);
    return new TestManager(host, token, { accessKey: access_key_id, secretKey: secret_key });
  }

  /** Puts a bundle where the manager finds it, and its edges download it. */
  async offer(version: string, files: Files): Promise<string> {
    const bundle = await makeBundle({
      dir: this.#host.bundles,
      version,
      contents: { ...files },
    });
    return bundle.sha256;
  }

  /** Sends the bundle of a version to the edge; resolves when the edge has it and leaves. */
  async push(version: string): Promise<void> {
    const body = JSON.stringify({ version });
    const answer = await this.#call("POST", "/api/v1/edges/1/upgrade-package", body);
    if (answer.status !== 200) throw new Error(`push: ${answer.status} ${answer.text}`);
  }

  /** What it knows of the edge; undefined while it is not up. */
  async edge(): Promise<EdgeView | undefined> {
    const { status, text } = await this.#call("GET", "/api/v1/edges/1");
    return status === 200 ? JSON.parse(text) : undefined;
  }

  /** Waits until the edge is online with this version. */
  async sees(version: string): Promise<EdgeView> {
    return await eventually(`the edge online with ${version}`, async () => {
      const edge = await this.edge();
      return edge?.status === "online" && edge.agent_version === version && edge;
    });
  }

  /** Waits until the edge is online with a version and has told how its last upgrade ended. */
  async hears(version: string, state: string): Promise<NonNullable<EdgeView["last_upgrade"]>> {
    return await eventually(`${state} from the edge with ${version}`, async () => {
      const { last_upgrade } = await this.sees(version);
      return last_upgrade?.state === state && last_upgrade;
    });
  }

  async #call(method: string, path: string, body = ""): Promise<{ status: number; text: string }> {
    const args = [Deno.execPath(), "eval", "--no-config", CALL, method, path, this.#token, body];
    const { code, stdout, stderr } = await this.#container.fromItsNetwork(args);
    return code === 0 ? JSON.parse(stdout) : { status: 0, text: stderr };
  }
}
