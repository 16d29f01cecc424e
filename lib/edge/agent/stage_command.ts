/** `ongrid-edge stage`: a bundle staged by hand, for hosts that no manager can push to. */

import { OngridError } from "../../cli/errors.ts";
import type { Output, Progress } from "../../cli/output.ts";
import { lstatOrUndefined } from "../../fs/lstat.ts";
import { type EdgePaths, STAGE } from "../paths.ts";
import type { AgentEffects } from "./effects.ts";
import type { OpenUrl } from "./http.ts";
import { type Account, asAccount, ownCommand, runCommand, userNameOf } from "./owner.ts";
import { openStageSource, type StageSource } from "./stage_source.ts";
import { Stager } from "./stager.ts";
import type { StagedRecord } from "./store.ts";

/** What the command works with. */
export interface StageCommandOptions {
  /** A path, a URL, or `-`. */
  readonly source: string;
  readonly sha256: string | undefined;
  readonly paths: EdgePaths;
  readonly version: string;
  readonly output: Output;
  readonly effects: AgentEffects;
  /** Opens the bundle's URL; its sha256 is known then. */
  readonly openUrl: OpenUrl;
  /** Opens the URL of its checksum file, and checks certificates. */
  readonly openTrusted: OpenUrl;
}

/**
 * Stages a bundle so that the next start of the service applies it. As root it opens the source
 * and then continues as the owner of the state directory, so that nothing in that directory can
 * lead root anywhere.
 *
 * @returns the exit code.
 */
export async function stageByHand(options: StageCommandOptions): Promise<number> {
  const { paths, output } = options;
  const source = await openStageSource(
    options.source,
    options.sha256,
    options.openTrusted,
  );
  if (source.kind === "url" && options.sha256 === undefined && /^http:/i.test(source.url)) {
    output.warn(
      "the checksum came over http, like the bundle: whoever is on the way can lie twice",
    );
  }
  try {
    const owner = otherOwner(paths.stage);
    if (owner) return await continueAs(owner, source, options);
    const record = await stageHere(source, options);
    output.info("the next start of the service applies it: systemctl restart ongrid-edge");
    output.result(
      `staged ${record.version} (${record.manifest_files} files) in ${paths.stage}/${STAGE.incoming}`,
    );
    return 0;
  } finally {
    if (source.kind === "stream" && !source.stream.locked) await source.stream.cancel();
  }
}

/** The account to continue as; undefined where this one owns the directory, or will make it. */
function otherOwner(stage: string): Account | undefined {
  const uid = Deno.uid();
  const there = lstatOrUndefined(stage);
  if (there && !there.isDirectory) {
    throw new OngridError(`the state directory ${stage} is not a directory, or a link to one`, {
      hint: `Look at it (ls -ld ${stage}); to keep it elsewhere, mount that place here.`,
    });
  }
  if (!there) {
    if (uid !== 0) return undefined;
    throw new OngridError(`there is no state directory ${stage}`, {
      hint: `Install the agent first, or make it: ` +
        `install -d -o ongrid-edge -g ongrid-edge -m 0750 ${stage}`,
    });
  }
  const owner = { uid: there.uid ?? 0, gid: there.gid ?? 0 };
  if (owner.uid === uid) return undefined;
  if (uid === 0) return owner;
  throw new OngridError(`${stage} belongs to user ${owner.uid}, this is user ${uid}`, {
    hint: "Run it as root, or as that user.",
  });
}

async function continueAs(
  owner: Account,
  source: StageSource,
  { output }: StageCommandOptions,
): Promise<number> {
  const what = source.kind === "url" ? source.url : "-";
  const command = [...ownCommand(), "stage", what, "--sha256", source.sha256];
  const userName = userNameOf(owner.uid, Deno.readTextFileSync("/etc/passwd"));
  const [line] = asAccount(command, owner, { userName });
  if (!line) {
    const redirect = source.kind === "url" ? "" : " < BUNDLE";
    throw new OngridError(
      "cannot continue as the owner of the state directory: this host has " +
        "neither setpriv nor runuser",
      {
        hint: `Run: su -s /bin/sh ${userName ?? owner.uid} -c '${command.join(" ")}'${redirect}`,
      },
    );
  }
  output.info(`continuing as user ${userName ?? owner.uid}`);
  return await runCommand(line, source.kind === "url" ? undefined : source.stream);
}

async function stageHere(
  source: StageSource,
  options: StageCommandOptions,
): Promise<StagedRecord> {
  const size = source.kind === "url" ? undefined : source.size;
  let progress: Progress | undefined;
  const report = (label: string, done: number, total: number | undefined) => {
    progress ??= options.output.progress(label, total);
    progress.update(done);
  };
  const stager = new Stager({
    paths: options.paths,
    version: options.version,
    openUrl: options.openUrl,
    effects: options.effects,
    onWarning: (message) => options.output.warn(message),
    onDownload: (done, total) => report("downloading", done, total),
  });
  try {
    const record = source.kind === "url"
      ? await stager.stage({ url: source.url, sha256: source.sha256, version: undefined })
      : await stager.stageStream(
        source.stream.pipeThrough(counting((done) => report("staging", done, size))),
        source.sha256,
      );
    stager.promote(record.bundle_sha256);
    return record;
  } finally {
    progress?.finish();
  }
}

function counting(report: (done: number) => void): TransformStream<Uint8Array, Uint8Array> {
  let done = 0;
  return new TransformStream({
    transform(chunk, controller) {
      done += chunk.length;
      report(done);
      controller.enqueue(chunk);
    },
  });
}
