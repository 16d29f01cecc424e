/** Staging: from a URL or an open file to a complete, verified bundle in `staged/`. */

import { stageBundle } from "../../bundle/stage.ts";
import { InvalidBundleError, OngridError } from "../../cli/errors.ts";
import { removeDurable, removeTreeDurable } from "../../fs/durable.ts";
import { type EdgePaths, STAGE } from "../paths.ts";
import { download, DOWNLOAD_LIMITS, type Downloaded, type DownloadLimits } from "./download.ts";
import type { AgentEffects } from "./effects.ts";
import { platformName } from "./host_info.ts";
import type { OpenUrl } from "./http.ts";
import { receive } from "./receive.ts";
import type { BundleRequest } from "./requests.ts";
import { type StagedRecord, StageStore } from "./store.ts";
import { readUpgradeState } from "./upgrade_state.ts";

/** Longest time from the request to the staged bundle, in milliseconds, as in existing agents. */
export const STAGING_LIMIT_MS = 45 * 60 * 1000;

/** What the stager needs. */
export interface StagerOptions {
  readonly paths: EdgePaths;
  /** The version of this agent. */
  readonly version: string;
  readonly openUrl: OpenUrl;
  readonly effects: Pick<AgentEffects, "now" | "sleep" | "random" | "freeBytes">;
  readonly limits?: DownloadLimits;
  /** Told of every chunk of a download. */
  readonly onDownload?: (done: number, total: number | undefined) => void;
  /** Told of what is odd in a bundle and was put right. */
  readonly onWarning?: (message: string) => void;
}

/** How far a staging is. */
export interface StagingProgress {
  readonly phase: "downloading" | "verifying";
  readonly sha256: string;
  readonly version: string | undefined;
  /** Percent of the phase; undefined where the size is not known. */
  readonly percent: number | undefined;
}

interface Running {
  readonly sha256: string;
  readonly result: Promise<StagedRecord>;
  readonly abort: AbortController;
  progress: StagingProgress;
}

type Report = (progress: Pick<StagingProgress, "phase" | "percent">) => void;

/** Where the bytes of a bundle come from: a download, or an open file of an operator. */
type Source = BundleRequest | {
  readonly stream: ReadableStream<Uint8Array>;
  readonly sha256: string;
};

/**
 * One staging at a time. It belongs to nobody: a caller that goes away does not end it, one that
 * asks for the same bundle again joins it.
 */
export class Stager {
  readonly store: StageStore;
  readonly #options: StagerOptions;
  #running: Running | undefined;

  constructor(options: StagerOptions) {
    this.#options = options;
    this.store = new StageStore(options.paths.stage);
  }

  /** How far the running staging is; undefined where none runs. */
  get progress(): StagingProgress | undefined {
    return this.#running?.progress;
  }

  /**
   * Stages a bundle, or joins the staging of the same bundle, or answers at once where it is staged
   * already. Leaves it in `staged/`, or in `incoming/` where an earlier call has brought it so far.
   *
   * @throws {OngridError} where an upgrade is unsettled or another bundle is being staged; whatever
   *   the download and the verification of the bundle throw.
   */
  stage(request: BundleRequest): Promise<StagedRecord> {
    return this.#stage(request);
  }

  /** Stages a bundle from an open file. */
  stageStream(
    stream: ReadableStream<Uint8Array>,
    sha256: string,
  ): Promise<StagedRecord> {
    return this.#stage({ stream, sha256 });
  }

  /** Downloads one file for an upgrade of the agent's binary alone, under the same lock. */
  async downloadFile(request: BundleRequest, signal: AbortSignal): Promise<Downloaded> {
    if (this.#running) throw this.#busy(this.#running);
    this.refuseUnsettled();
    using _lock = this.store.lock();
    return await this.#fetch(request, signal, () => {});
  }

  /**
   * Hands the staged bundle to the next start of the service; nothing to do where it has been.
   *
   * @throws {OngridError} where it is not staged any more, or another process is staging.
   */
  promote(sha256: string): void {
    if (this.store.ready()?.bundle_sha256 === sha256) return;
    using _lock = this.#lockOnce();
    this.store.promote(sha256);
  }

  /**
   * Drops what is staged, all of it or only the bundle with this sha256; see `StageStore.drop`.
   *
   * @throws {OngridError} where another process is staging.
   */
  drop(sha256?: string): string[] {
    using _lock = this.#lockOnce();
    return this.store.drop(sha256);
  }

  /**
   * Nothing may be staged or applied while an upgrade waits for its verdict: the next start would
   * take it away together with that upgrade.
   *
   * @throws {OngridError} where one waits.
   */
  refuseUnsettled(): void {
    const { paths, version } = this.#options;
    const { armed, unsettled } = readUpgradeState(paths, version);
    if (!unsettled) return;
    throw new OngridError(`the upgrade to ${armed || "an unnamed version"} is not settled yet`, {
      hint: "Push again when this edge has been accepted by its manager, or was rolled back.",
    });
  }

  /** Ends the running staging, if any, and waits until it has. */
  async abort(reason: string): Promise<boolean> {
    const running = this.#running;
    if (!running) return false;
    running.abort.abort(new OngridError(reason));
    await running.result.catch(() => {});
    return true;
  }

  #stage(source: Source): Promise<StagedRecord> {
    this.refuseUnsettled();
    const { sha256 } = source;
    if (this.#running) {
      return this.#running.sha256 === sha256
        ? this.#running.result
        : Promise.reject(this.#busy(this.#running));
    }
    const there = [this.store.ready(), this.store.staged()]
      .find((record) => record?.bundle_sha256 === sha256);
    if (there) return Promise.resolve(there);
    return this.#start(source);
  }

  #start(source: Source): Promise<StagedRecord> {
    const abort = new AbortController();
    const timer = setTimeout(
      () => abort.abort(new OngridError(`not staged within ${STAGING_LIMIT_MS / 60_000} minutes`)),
      STAGING_LIMIT_MS,
    );
    const running: Running = {
      sha256: source.sha256,
      abort,
      progress: {
        phase: "downloading",
        sha256: source.sha256,
        version: "version" in source ? source.version : undefined,
        percent: undefined,
      },
      result: this.#run(source, abort.signal, (progress) => {
        running.progress = { ...running.progress, ...progress };
      }).finally(() => {
        clearTimeout(timer);
        this.#running = undefined;
      }),
    };
    // Nobody may be waiting any more when it fails.
    running.result.catch(() => {});
    this.#running = running;
    return running.result;
  }

  async #run(
    source: Source,
    signal: AbortSignal,
    report: Report,
  ): Promise<StagedRecord> {
    // The caller has the promise before the first step.
    await Promise.resolve();
    using _lock = this.store.lock();
    const file = await this.#fetch(source, signal, (percent) => {
      report({ phase: "downloading", percent });
    });
    try {
      const record = await this.#unpack(source, file.path, signal, report);
      removeDurable(file.path);
      return record;
    } catch (error) {
      // What is wrong with it stays wrong; anything else may work with a download next time.
      if ("stream" in source || error instanceof InvalidBundleError) removeDurable(file.path);
      throw error;
    }
  }

  #fetch(source: Source, signal: AbortSignal, report: (percent?: number) => void) {
    const { openUrl, effects, onDownload, limits = DOWNLOAD_LIMITS } = this.#options;
    const common = {
      sha256: source.sha256,
      directory: this.store.at(STAGE.download),
      limits,
      signal,
    };
    if ("stream" in source) return receive({ ...common, stream: source.stream });
    return download({
      ...common,
      url: source.url,
      openUrl,
      effects,
      onProgress: (done, total) => {
        report(percentOf(done, total));
        onDownload?.(done, total);
      },
    });
  }

  async #unpack(
    wanted: { readonly sha256: string; readonly version?: string | undefined },
    tarball: string,
    signal: AbortSignal,
    report: Report,
  ): Promise<StagedRecord> {
    const { paths, limits = DOWNLOAD_LIMITS, effects, onWarning } = this.#options;
    const dir = this.store.at(STAGE.partial);
    removeTreeDurable(dir);
    try {
      const bundle = await stageBundle({
        tarball,
        sha256: wanted.sha256,
        verifiedSha256: wanted.sha256,
        arch: platformName(),
        roots: paths.roots,
        dir,
        maxBytes: limits.maxBytes,
        signal,
        onProgress: ({ done, total }) => {
          report({ phase: "verifying", percent: percentOf(done, total) });
        },
        onWarning,
      });
      checkVersion(bundle.version, wanted.version);
      const record: StagedRecord = {
        version: bundle.version,
        bundle_sha256: wanted.sha256,
        staged_at: effects.now().toISOString(),
        bytes: bundle.bytes,
        manifest_files: bundle.manifestFiles,
      };
      this.store.commit(record);
      return record;
    } catch (error) {
      removeTreeDurable(dir);
      throw error;
    }
  }

  /** The lock, where no staging of this process has it already. */
  #lockOnce(): Disposable | undefined {
    return this.#running ? undefined : this.store.lock();
  }

  #busy(running: Running): OngridError {
    const { version, sha256 } = running.progress;
    return new OngridError(
      `busy staging ${version ?? "another bundle"} (sha256 ${sha256.slice(0, 12)}…)`,
      { hint: "Wait until it is staged, or drop it with drop_package." },
    );
  }
}

/** Managers compare versions without case and one leading `v`; so their requests are read. */
function checkVersion(found: string, wanted: string | undefined): void {
  const plain = (version: string) => version.toLowerCase().replace(/^v/, "");
  if (wanted === undefined || plain(wanted) === plain(found)) return;
  throw new InvalidBundleError(`the bundle is version ${found}, not ${wanted} as was said`);
}

function percentOf(done: number, total: number | undefined): number | undefined {
  return total === undefined || total === 0 ? undefined : Math.floor(done * 100 / total);
}
