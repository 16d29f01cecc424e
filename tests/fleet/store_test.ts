import { assertEquals, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import { join } from "@std/path";
import { DatabaseSync } from "node:sqlite";
import { describeError, OngridError } from "../../lib/cli/errors.ts";
import { openServiceStore, openSqliteStore } from "../../lib/fleet/sqlite/open.ts";
import type { FleetStore } from "../../lib/fleet/store.ts";

/** Runs `work` on the path of a database in a directory of its own. */
async function withDatabase(work: (path: string) => Promise<void> | void): Promise<void> {
  const directory = Deno.makeTempDirSync({ prefix: "ongrid-store-" });
  try {
    await work(join(directory, "m.db"));
  } finally {
    Deno.removeSync(directory, { recursive: true });
  }
}

const HOST = { hostname: "h", os: "linux", arch: "amd64", kernel_version: "6" };

async function addEdge(store: FleetStore, name: string): Promise<bigint> {
  const secretHash = new Uint8Array(32);
  return (await store.edges.add({ name, accessKey: `key-${name}`, secretHash, now: 1 })).id;
}

async function addPush(store: FleetStore, edgeId: bigint) {
  return await store.pushes.add({
    edgeId,
    edgeName: "a",
    fromVersion: "v1",
    targetVersion: "v2",
    createdBy: "me",
    now: 5,
  });
}

Deno.test("what is stored is there after the file is opened again", async () => {
  await withDatabase(async (path) => {
    const store = openSqliteStore(path);
    const id = await addEdge(store, "a");
    await store.edges.register(id, { agentVersion: "v1", host: HOST, report: "{}", now: 7 });
    await store.edges.setLastUpgrade(id, { version: "v1", state: "healthy", reason: "", at: 8 });
    const push = await addPush(store, id);
    const changed = {
      ...push,
      phase: "staged" as const,
      phases: [{ phase: "staged" as const, at: 9 }],
      reason: "because",
      applySentAt: 10,
      applyAccepted: true,
      deadlineAt: 11,
      asks: 2,
      probes: 1,
    };
    await store.pushes.save(changed);
    await store.close();
    const again = openSqliteStore(path);
    assertEquals(await again.edges.get(id), {
      id,
      name: "a",
      accessKey: "key-a",
      createdAt: 1,
      status: "online",
      address: undefined,
      agentVersion: "v1",
      host: HOST,
      lastSeenAt: 7,
      lastRegisteredAt: 7,
      lastUpgrade: { version: "v1", state: "healthy", reason: "", at: 8 },
      report: "{}",
    });
    assertEquals(await again.pushes.inFlight(), [changed]);
    await again.close();
  });
});

Deno.test("the file and its side files belong to their owner alone", async () => {
  await withDatabase(async (path) => {
    const store = openSqliteStore(path);
    await addEdge(store, "a");
    for (const file of [path, `${path}-wal`, `${path}-shm`]) {
      assertEquals((Deno.statSync(file).mode ?? 0) & 0o777, 0o600);
    }
    await store.close();
  });
});

Deno.test("the database itself refuses two upgrades in flight on one edge", async () => {
  await withDatabase(async (path) => {
    const store = openSqliteStore(path);
    const id = await addEdge(store, "a");
    const first = await addPush(store, id);
    const second = await addPush(store, id);
    await store.pushes.save({ ...first, phase: "restarting" });
    const error = await assertRejects(() => store.pushes.save({ ...second, phase: "fetching" }));
    assertStringIncludes(describeError(error).message, "UNIQUE constraint failed");
    await store.pushes.save({ ...first, phase: "healthy" });
    await store.pushes.save({ ...second, phase: "fetching" });
    await store.close();
  });
});

Deno.test("two processes share one file", async () => {
  await withDatabase(async (path) => {
    const one = openSqliteStore(path);
    const other = openSqliteStore(path);
    const names = Array.from({ length: 20 }, (_, index) => `edge-${index}`);
    await Promise.all(names.map((name, index) => addEdge(index % 2 === 0 ? one : other, name)));
    assertEquals((await one.edges.list({}, { limit: 1, offset: 0 })).total, 20);
    assertEquals((await other.edges.list({}, { limit: 5, offset: 0 })).total, 20);
    await one.close();
    await other.close();
  });
});

Deno.test("an id is never given to a second edge", async () => {
  await withDatabase(async (path) => {
    const store = openSqliteStore(path);
    const first = await addEdge(store, "a");
    assertEquals(await store.edges.remove(first), true);
    assertEquals(await store.edges.remove(first), false);
    assertEquals(await addEdge(store, "b"), first + 1n);
    await store.close();
  });
});

Deno.test("removing an edge removes its history, and leaves that of others", async () => {
  await withDatabase(async (path) => {
    const store = openSqliteStore(path);
    const [a, b] = [await addEdge(store, "a"), await addEdge(store, "b")];
    await addPush(store, a);
    await addPush(store, b);
    await store.edges.remove(a);
    assertEquals((await store.pushes.ofEdge(a, { limit: 9, offset: 0 })).total, 0);
    assertEquals((await store.pushes.ofEdge(b, { limit: 9, offset: 0 })).total, 1);
    await store.close();
  });
});

Deno.test("a database of a newer manager is left alone", async () => {
  await withDatabase(async (path) => {
    await openSqliteStore(path).close();
    {
      using db = new DatabaseSync(path);
      db.exec("PRAGMA user_version = 99");
    }
    const before = Deno.readFileSync(path);
    const error = assertThrows(
      () => openSqliteStore(path),
      OngridError,
      "its schema is version 99",
    );
    assertEquals(error.hint, "A newer manager wrote it: run that version, or restore a backup.");
    assertEquals(Deno.readFileSync(path), before);
  });
});

Deno.test("a file that is no database, and a directory that is not there, are named", async () => {
  await withDatabase((path) => {
    Deno.writeTextFileSync(path, "not a database, but long enough to look like one".repeat(100));
    const error = assertThrows(
      () => openSqliteStore(path),
      OngridError,
      `Cannot open the database ${path}`,
    );
    assertStringIncludes(error.hint ?? "", "It is no SQLite database");
    assertThrows(() => openSqliteStore(join(path, "x", "m.db")), OngridError, "Cannot open");
  });
});

Deno.test("an expired token is nobody's, and is dropped when another is made", async () => {
  await withDatabase(async (path) => {
    const { users, close } = openSqliteStore(path);
    const user = await users.add({ email: "A@x", passwordHash: "", role: "viewer", now: 0 });
    const hash = (first: number) => new Uint8Array(32).fill(first);
    await users.addToken({ hash: hash(1), userId: user.id, now: 0, expiresAt: 10 });
    assertEquals((await users.findByToken(hash(1), 9))?.email, "A@x");
    assertEquals(await users.findByToken(hash(1), 10), undefined);
    assertEquals(await users.findByToken(hash(2), 0), undefined);
    await users.addToken({ hash: hash(2), userId: user.id, now: 10, expiresAt: 20 });
    assertEquals(await users.findByToken(hash(1), 0), undefined);
    assertEquals((await users.findByEmail("a@X"))?.id, user.id);
    await close();
  });
});

Deno.test("a connection that ended long ago does not make the edge offline", async () => {
  await withDatabase(async (path) => {
    const store = openSqliteStore(path);
    const id = await addEdge(store, "a");
    await store.edges.setOnline(id, { address: "new:1", now: 1 });
    await store.edges.setOffline(id, { address: "old:1", now: 2 });
    assertEquals((await store.edges.get(id))?.status, "online");
    await store.edges.setOffline(id, { address: "new:1", now: 3 });
    assertEquals((await store.edges.get(id))?.status, "offline");
    await store.close();
  });
});

Deno.test("another program's database is left alone", async () => {
  await withDatabase((path) => {
    for (const version of [0, 1]) {
      const file = `${path}-${version}`;
      {
        using db = new DatabaseSync(file);
        db.exec(`CREATE TABLE photos (id INTEGER); PRAGMA user_version = ${version}`);
      }
      const before = Deno.readFileSync(file);
      assertThrows(() => openSqliteStore(file), OngridError, "another program's tables are in it");
      assertEquals(Deno.readFileSync(file), before);
    }
  });
});

Deno.test("only one service at a time has the registry; commands may use it meanwhile", async () => {
  await withDatabase(async (path) => {
    const service = openServiceStore(path);
    assertThrows(() => openServiceStore(path), OngridError, `(process ${Deno.pid}) runs on it`);
    const command = openSqliteStore(path);
    await addEdge(command, "a");
    await command.close();
    await service.close();
    await openServiceStore(path).close();
  });
});

Deno.test("how an upgrade ended is stored with the upgrade and with its edge, or with neither", async () => {
  await withDatabase(async (path) => {
    const store = openSqliteStore(path);
    const push = await addPush(store, await addEdge(store, "a"));
    const end = { ...push, phase: "healthy" as const, finishedAt: 9 };
    {
      using other = new DatabaseSync(path);
      other.exec("CREATE TRIGGER no BEFORE UPDATE ON edges BEGIN SELECT RAISE(ABORT, 'no'); END");
      await assertRejects(() => store.pushes.end(end));
      const [kept] = (await store.pushes.ofEdge(push.edgeId, { limit: 1, offset: 0 })).items;
      assertEquals(kept?.phase, "queued");
      other.exec("DROP TRIGGER no");
    }
    await store.pushes.end(end);
    const outcome = { version: "v2", state: "healthy", reason: "", at: 9 };
    assertEquals((await store.edges.get(push.edgeId))?.lastUpgrade, outcome);
    await store.close();
  });
});
