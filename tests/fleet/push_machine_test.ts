import { assertEquals } from "@std/assert";
import { step } from "../../lib/fleet/push_machine.ts";
import {
  DEFAULT_PUSH_SETTINGS,
  type Push,
  type PushContext,
  type PushEvent,
  type Step,
  wakeAt,
} from "../../lib/fleet/push_state.ts";
import { isFinal, type PushRecord } from "../../lib/fleet/records.ts";

const MINUTE = 60_000;

const RECORD: PushRecord = {
  id: 1n,
  rolloutId: undefined,
  edgeId: 1n,
  edgeName: "a",
  fromVersion: "v1",
  targetVersion: "v2",
  arch: "linux-amd64",
  file: "f",
  sha256: "s",
  phase: "queued",
  code: "",
  reason: "",
  phases: [],
  asks: 0,
  probes: 0,
  applySentAt: undefined,
  applyAccepted: false,
  baselineReport: "",
  fetchDeadlineAt: undefined,
  deadlineAt: undefined,
  observedVersion: "",
  createdBy: "",
  createdAt: 0,
  startedAt: undefined,
  finishedAt: undefined,
};

/** A push that is led through events on a clock of its own. */
class Story {
  push: Push = { record: RECORD, wait: { for: "start" }, unknownMethod: 0 };
  now = 1_000_000;
  online = true;
  readonly calls: string[] = [];

  take(event: PushEvent): this {
    const context: PushContext = {
      now: this.now,
      online: this.online,
      settings: DEFAULT_PUSH_SETTINGS,
    };
    const { push, call }: Step = step(this.push, event, context);
    this.push = push;
    if (call !== undefined) this.calls.push(call);
    return this;
  }

  /** Lets time pass, with a tick whenever the machine asked for one. */
  pass(ms: number): this {
    const end = this.now + ms;
    for (let due = wakeAt(this.push); due !== undefined && due <= end; due = wakeAt(this.push)) {
      this.now = Math.max(this.now, due);
      this.take({ kind: "tick" });
    }
    this.now = end;
    return this;
  }

  /** The edge goes. */
  goes(method: "fetch_package" | "apply_package"): this {
    this.online = false;
    return this.take({ kind: "lost", method, why: "closed" });
  }

  /** The edge comes back and registers. */
  comes(version: string): this {
    this.online = true;
    return this.take({ kind: "registered", version, report: undefined, reportJson: "" });
  }

  get phase(): string {
    return this.push.record.phase;
  }
}

const begun = () => new Story().take({ kind: "start" });
const staged = () => begun().take({ kind: "answered", method: "fetch_package" });
const told = () => staged().take({ kind: "answered", method: "apply_package" });

Deno.test("a push that is on its way ends timed out when the edge does not come back", () => {
  const story = told();
  assertEquals(story.phase, "restarting");
  assertEquals(story.pass(5 * MINUTE - 1).phase, "restarting");
  assertEquals(story.pass(1).phase, "timed_out");
  assertEquals(story.push.record.code, "verification_timeout");
});

Deno.test("staging has as long as an agent gives it, and then says how to go on", () => {
  const story = begun();
  assertEquals(story.pass(45 * MINUTE - 1).phase, "fetching");
  assertEquals(story.pass(1).phase, "timed_out");
  assertEquals(story.push.record.reason.includes("staged by hand"), true);
});

Deno.test("an edge that goes while it stages has five minutes to come back", () => {
  assertEquals(begun().goes("fetch_package").pass(5 * MINUTE).phase, "timed_out");
  const story = begun().goes("fetch_package").pass(4 * MINUTE).comes("v1").pass(10 * MINUTE);
  assertEquals(story.phase, "fetching");
  assertEquals(story.calls, ["fetch_package", "fetch_package"]);
});

Deno.test("an edge that comes and goes while it stages cannot stretch the limit", () => {
  const story = begun();
  let rounds = 0;
  while (!isFinal(story.push.record.phase) && rounds++ < 1000) {
    story.goes("fetch_package").pass(MINUTE).comes("v1").pass(MINUTE);
  }
  assertEquals(story.phase, "timed_out");
  assertEquals(story.now - 1_000_000 <= 46 * MINUTE, true);
});

Deno.test("an edge that comes and goes without an answer to apply cannot stretch the limit", () => {
  const story = staged().goes("apply_package");
  let rounds = 0;
  while (!isFinal(story.push.record.phase) && rounds++ < 1000) {
    story.comes("v1").pass(10_000);
    story.online = false;
    story.pass(30_000);
  }
  assertEquals(story.phase, "timed_out");
  assertEquals(story.now - 1_000_000 <= 16 * MINUTE, true);
});

Deno.test("an edge that comes back more often than it is asked is asked all the same", () => {
  const story = staged().goes("apply_package");
  for (let round = 0; round < 5; round++) story.comes("v1").pass(5_000);
  assertEquals(story.calls, ["fetch_package", "apply_package", "apply_package"]);
});

Deno.test("an edge that keeps losing the call to apply is asked a few times only", () => {
  const story = staged();
  for (let round = 0; round < 20 && !isFinal(story.push.record.phase); round++) {
    story.goes("apply_package").comes("v1").pass(21_000);
  }
  assertEquals(story.phase, "rolled_back");
  assertEquals(story.calls.filter((call) => call === "apply_package").length, 6);
});

Deno.test("the version decides, whatever was lost on the way", () => {
  for (const story of [begun(), staged(), told(), begun().goes("fetch_package")]) {
    assertEquals(story.comes("V2").phase, "healthy");
  }
});

Deno.test("a final push does not change any more", () => {
  const story = told().comes("v2");
  const end = story.push;
  story.comes("v1").goes("apply_package").pass(60 * MINUTE).take({ kind: "start" });
  assertEquals(story.push, end);
});

Deno.test("a forced push of the running version is not proven by a reconnect", () => {
  const story = begun();
  story.push = { ...story.push, record: { ...story.push.record, fromVersion: "v2" } };
  assertEquals(story.comes("v2").phase, "fetching");
  story.take({ kind: "answered", method: "fetch_package" });
  assertEquals(story.comes("v2").phase, "healthy");
});

Deno.test("after a restart of the manager the edge has time to come back, however late it is", () => {
  const story = told();
  story.now += 60 * MINUTE;
  story.online = false;
  story.take({ kind: "resume" }).pass(4 * MINUTE);
  assertEquals(story.phase, "restarting");
  assertEquals(story.comes("v2").phase, "healthy");
  assertEquals(story.calls, ["fetch_package", "apply_package"]);
});

Deno.test("an older agent that reconnects without registering is asked again", () => {
  const story = begun().goes("fetch_package");
  story.online = true;
  story.take({ kind: "back" }).pass(2_000);
  assertEquals(story.calls, ["fetch_package", "fetch_package"]);
  const accepted = told();
  accepted.take({ kind: "back" }).pass(MINUTE);
  assertEquals(accepted.calls, ["fetch_package", "apply_package"]);
});

Deno.test("an answer that comes after the push moved on is taken for what it says", () => {
  const story = staged().comes("v1");
  story.take({ kind: "answered", method: "apply_package" });
  assertEquals([story.phase, story.push.record.applyAccepted], ["restarting", true]);
  assertEquals(story.comes("v1").phase, "rolled_back");
});

Deno.test("history stays short for an edge that comes and goes all day", () => {
  const story = staged();
  story.push = {
    ...story.push,
    record: { ...story.push.record, phases: Array(100).fill({ phase: "staged", at: 0 }) },
  };
  story.take({ kind: "answered", method: "apply_package" });
  assertEquals(story.push.record.phases.length, 32);
});
