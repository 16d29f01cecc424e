import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { Accounts } from "../../lib/fleet/accounts.ts";
import { ApiError } from "../../lib/fleet/api_error.ts";
import { systemEffects } from "../../lib/fleet/effects.ts";
import { clientAddress } from "../../lib/fleet/http/client_address.ts";
import { LoginLimit } from "../../lib/fleet/login_limit.ts";
import { PasswordHasher } from "../../lib/fleet/passwords.ts";
import { openSqliteStore } from "../../lib/fleet/sqlite/open.ts";
import { ADMIN, clockedEffects, startTestManager } from "./support/test_manager.ts";

function login(manager: Awaited<ReturnType<typeof startTestManager>>, password: string) {
  const body = { email: ADMIN.email, password };
  return manager.api("POST", "/api/v1/auth/login", { body, token: "" });
}

Deno.test("a login gives a token that works until it expires", async () => {
  const effects = clockedEffects();
  await using manager = await startTestManager({ effects, tokenTtlMs: 90_000 });
  const { status, body } = await login(manager, ADMIN.password);
  assertEquals(status, 200);
  assertEquals([body.token_type, body.expires_in, body.role], ["Bearer", 90, "admin"]);
  const token = String(body.access_token);
  effects.move(89_999);
  assertEquals((await manager.api("GET", "/api/v1/edges", { token })).status, 200);
  effects.move(1);
  const late = await manager.api("GET", "/api/v1/edges", { token });
  assertEquals([late.status, late.text], [401, "invalid or expired token\n"]);
});

Deno.test("a wrong password and an unknown account get the same answer", async () => {
  await using manager = await startTestManager();
  const wrong = await login(manager, "wrong");
  const body = { email: "nobody@example.com", password: "wrong" };
  const unknown = await manager.api("POST", "/api/v1/auth/login", { body, token: "" });
  assertEquals(wrong.status, 401);
  assertEquals(wrong.body, { error: "invalid email or password", code: "unauthorized" });
  assertEquals([unknown.status, unknown.text], [wrong.status, wrong.text]);
});

Deno.test("after six wrong passwords even the right one has to wait", async () => {
  const effects = clockedEffects();
  await using manager = await startTestManager({ effects });
  for (let attempt = 0; attempt < 6; attempt++) {
    assertEquals((await login(manager, `wrong ${attempt}`)).status, 401);
  }
  const limited = await login(manager, ADMIN.password);
  assertEquals([limited.status, limited.body.code], [429, "too-many-requests"]);
  assertEquals(limited.headers.get("retry-after"), "60");
  effects.move(15 * 60_000);
  assertEquals((await login(manager, ADMIN.password)).status, 200);
});

Deno.test("many attempts at the same moment do not slip through the limit", async () => {
  await using manager = await startTestManager();
  const attempts = Array.from({ length: 20 }, (_, index) => login(manager, `wrong ${index}`));
  const statuses = (await Promise.all(attempts)).map(({ status }) => status);
  assertEquals(statuses.filter((status) => status === 401).length, 6);
  assertEquals(statuses.filter((status) => status === 429).length, 14);
});

Deno.test("a login that succeeds forgets the failures before it", () => {
  const limit = new LoginLimit({ now: () => 0 });
  for (let round = 0; round < 3; round++) {
    for (let attempt = 0; attempt < 6; attempt++) limit.attempt("192.0.2.1", "A@example.com");
    assertThrows(() => limit.attempt("192.0.2.1", " a@example.com"), ApiError, "too many failed");
    limit.succeeded("192.0.2.1", "a@example.com");
  }
});

Deno.test("one address that guesses does not lock out another", () => {
  const limit = new LoginLimit({ now: () => 0 });
  for (let attempt = 0; attempt < 6; attempt++) limit.attempt("192.0.2.1", "a@example.com");
  limit.attempt("192.0.2.2", "a@example.com");
  limit.attempt("192.0.2.1", "b@example.com");
});

Deno.test("the list of failed logins does not grow without end", () => {
  const limit = new LoginLimit({ now: () => 0 });
  const others = Array.from({ length: 5_000 }, (_, index) => `10.0.${index >> 8}.${index & 255}`);
  for (let attempt = 0; attempt < 6; attempt++) limit.attempt("192.0.2.1", "a@example.com");
  // Each takes two of 10,000 places, the first took two as well.
  for (const other of others.slice(1)) limit.attempt(other, "a@example.com");
  assertThrows(() => limit.attempt("192.0.2.1", "a@example.com"), ApiError);
  limit.attempt("10.0.0.0", "a@example.com");
  limit.attempt("192.0.2.1", "a@example.com");
});

Deno.test("one address cannot crowd its own failures out by trying other accounts", () => {
  const limit = new LoginLimit({ now: () => 0 });
  for (let attempt = 0; attempt < 6; attempt++) limit.attempt("192.0.2.1", "a@example.com");
  const tryOthers = () => {
    for (let other = 0; other < 20_000; other++) limit.attempt("192.0.2.1", `${other}@example.com`);
  };
  assertThrows(tryOthers, ApiError, "too many failed");
  assertThrows(() => limit.attempt("192.0.2.1", "a@example.com"), ApiError, "too many failed");
});

Deno.test("the addresses of one IPv6 network count as one", () => {
  const limit = new LoginLimit({ now: () => 0 });
  for (const host of ["1", "2", "3", "4", "a:b:c:d", "5"]) {
    const short = host.includes(":") ? `2001:db8:0:7:${host}` : `2001:DB8:0:7::${host}`;
    limit.attempt(short, "a@example.com");
  }
  assertThrows(() => limit.attempt("2001:db8::7:0:0:0:9", "a@example.com"), ApiError);
  limit.attempt("2001:db8:0:8::1", "a@example.com");
});

Deno.test("a clock that is set back locks nobody out for longer than the window", () => {
  let now = 1_000_000_000;
  const limit = new LoginLimit({ now: () => now });
  for (let attempt = 0; attempt < 6; attempt++) limit.attempt("192.0.2.1", "a@example.com");
  now -= 24 * 60 * 60_000;
  limit.attempt("192.0.2.1", "a@example.com");
});

Deno.test("a login that was turned away unread does not count as failed", async () => {
  const path = Deno.makeTempFileSync({ prefix: "ongrid-login-", suffix: ".db" });
  const { users, close } = openSqliteStore(path);
  try {
    const hasher = new PasswordHasher(systemEffects, { running: 1, waiting: 0 });
    const accounts = new Accounts({ users, effects: systemEffects, tokenTtlMs: 1000, hasher });
    const login = (name: string) =>
      accounts.login({ email: `${name}@example.com`, password: "x", address: "192.0.2.1" });
    const read = assertRejects(() => login("first"), ApiError, "invalid email or password");
    for (let name = 0; name < 100; name++) {
      await assertRejects(() => login(`${name}`), ApiError, "at the same time");
    }
    await read;
    await assertRejects(() => login("last"), ApiError, "invalid email or password");
  } finally {
    await close();
    Deno.removeSync(path);
  }
});

Deno.test("oversized credentials are refused before anything is hashed", async () => {
  await using manager = await startTestManager();
  assertEquals((await login(manager, "x".repeat(129))).status, 400);
});

Deno.test("a password is known again by its hash, and nothing else is", async () => {
  const hasher = new PasswordHasher(systemEffects);
  const stored = await hasher.hash("pässword");
  assertEquals(await hasher.verify("pa\u0308ssword", stored), true);
  assertEquals(await hasher.verify("Pässword", stored), false);
  assertEquals(await hasher.verify("pässword", undefined), false);
  assertEquals(await hasher.verify("", ""), false);
  assertEquals(await hasher.verify("pässword", stored.replace("$8$", "$1$")), false);
  assertEquals((await hasher.hash("pässword")) === stored, false);
});

Deno.test("a flood of logins is turned away instead of eating memory", async () => {
  const hasher = new PasswordHasher(systemEffects, { running: 1, waiting: 2 });
  const taken = [1, 2, 3].map(() => hasher.verify("x", undefined));
  const message = "too many logins at the same time";
  await assertRejects(() => hasher.verify("x", undefined), ApiError, message);
  assertEquals(await Promise.all(taken), [false, false, false]);
  assertEquals(await hasher.verify("x", undefined), false);
});

Deno.test("the address of a client is taken from a proxy near by, and from nobody else", () => {
  const forwarded = (value: string) => new Headers({ "x-forwarded-for": value });
  assertEquals(clientAddress(forwarded("203.0.113.9"), "172.18.0.5"), "203.0.113.9");
  assertEquals(clientAddress(forwarded("1.2.3.4, 203.0.113.9"), "127.0.0.1"), "203.0.113.9");
  assertEquals(clientAddress(forwarded("203.0.113.9"), "::ffff:10.0.0.1"), "203.0.113.9");
  assertEquals(clientAddress(forwarded("203.0.113.9"), "198.51.100.7"), "198.51.100.7");
  assertEquals(clientAddress(forwarded("nonsense here"), "127.0.0.1"), "127.0.0.1");
  assertEquals(clientAddress(new Headers(), "::1"), "::1");
});
