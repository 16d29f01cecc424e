import { assertEquals } from "@std/assert";
import { RemoteError } from "../../lib/cli/errors.ts";
import { FakeEdge } from "./support/fake_gateway.ts";
import { ADMIN, startTestManager } from "./support/test_manager.ts";

Deno.test("secrets appear in no answer but the one that enrols, and in no line of the log", async () => {
  await using manager = await startTestManager();
  const token = await manager.login();
  const edge = await manager.addEdge("a");
  const enrolments = manager.answers.filter((text) => text.includes("secret_key"));
  assertEquals(enrolments.length, 1);
  const secret = edge.credentials.secret_key;
  const wrong = "a-wrong-secret-key";
  await new FakeEdge({ ...edge.credentials, secret_key: wrong }, "v1").connect(manager.gateway)
    .catch((e) => assertEquals(e.message, "unauthorized"));
  await manager.api("POST", "/api/v1/auth/login", {
    body: `{"email":"${ADMIN.email}","password":"a-wrong-password`,
    token: "",
  });
  await manager.api("POST", "/api/v1/auth/login", {
    body: { email: ADMIN.email, password: "a-wrong-password" },
    token: "",
  });
  edge.answers.fetch_package = () => {
    throw new RemoteError("get: status 500");
  };
  for (
    const [method, path, body] of [
      ["GET", "/api/v1/edges", undefined],
      ["GET", "/api/v1/edges/1", undefined],
      ["POST", "/api/v1/edges/1/upgrade-package", undefined],
      ["GET", "/api/v1/edges/1/upgrades", undefined],
      ["POST", "/api/v1/rollouts", { edges: "all" }],
      ["GET", "/api/v1/rollouts", undefined],
      ["GET", "/api/v1/rollouts/1", undefined],
      ["GET", "/api/v1/edge-bundles", undefined],
      ["GET", "/healthz", undefined],
      ["DELETE", "/api/v1/edges/1", undefined],
    ] as const
  ) {
    await manager.api(method, path, { body, token });
  }
  await manager.stop();
  const stored = new TextDecoder("latin1").decode(Deno.readFileSync(manager.database));
  const answers = manager.answers.filter((text) =>
    !text.includes("secret_key") && !text.includes("access_token")
  );
  const secrets = [secret, wrong, token, ADMIN.password, "a-wrong-password"];
  for (const text of [...answers, ...manager.log, stored]) {
    for (const hidden of secrets) assertEquals(text.includes(hidden), false);
  }
  assertEquals(manager.log.some((line) => line.includes("wrong secret key")), true);
});
