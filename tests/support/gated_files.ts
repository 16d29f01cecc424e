import { join } from "@std/path";

/** One request that came in. */
export interface FileRequest {
  readonly path: string;
  /** The `Range` header; undefined where the whole file was asked for. */
  readonly range: string | undefined;
}

/**
 * Serves the bundles of a directory under `/edge/`, and stops in the middle of one when it is told
 * to: what a slow link or a dying proxy looks like, without having to wait for one.
 */
export class GatedFiles implements AsyncDisposable {
  readonly requests: FileRequest[] = [];
  readonly #directory: string;
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  #holdAfter = Infinity;
  #gate = Promise.withResolvers<"release" | "cut">();
  #reached = Promise.withResolvers<void>();

  constructor(directory: string) {
    this.#directory = directory;
    this.#server = Deno.serve({
      hostname: "127.0.0.1",
      port: 0,
      onListen: () => {},
      // A broken answer is what is wanted here.
      onError: () => new Response(null, { status: 500 }),
    }, (request) => this.#serve(request));
  }

  /** For `ONGRID_PUBLIC_URL`. */
  get url(): string {
    return `http://127.0.0.1:${this.#server.addr.port}`;
  }

  /** From now on, answers stop after so many bytes of the file, until one of the two below. */
  hold(afterBytes: number): void {
    this.#holdAfter = afterBytes;
    this.#gate = Promise.withResolvers();
    this.#reached = Promise.withResolvers();
  }

  /** Resolves when an answer has stopped. */
  get reached(): Promise<void> {
    return this.#reached.promise;
  }

  /** Lets the stopped answers go on, and all further ones pass. */
  release(): void {
    this.#holdAfter = Infinity;
    this.#gate.resolve("release");
  }

  /** Breaks the connections of the stopped answers; all further ones pass. */
  cut(): void {
    this.#holdAfter = Infinity;
    this.#gate.resolve("cut");
  }

  async #serve(request: Request): Promise<Response> {
    const path = decodeURIComponent(new URL(request.url).pathname);
    const range = request.headers.get("range") ?? undefined;
    this.requests.push({ path, range });
    const content = await Deno.readFile(join(this.#directory, path.replace(/^\/edge\//, "")));
    const start = Number(/^bytes=(\d+)-$/.exec(range ?? "")?.[1] ?? 0);
    const headers = new Headers({
      "etag": `"${content.length}"`,
      "content-length": String(content.length - start),
    });
    if (start > 0) {
      headers.set("content-range", `bytes ${start}-${content.length - 1}/${content.length}`);
    }
    return new Response(this.#body(content, start), { status: start > 0 ? 206 : 200, headers });
  }

  #body(content: Uint8Array<ArrayBuffer>, start: number): ReadableStream<Uint8Array<ArrayBuffer>> {
    const end = Math.min(this.#holdAfter, content.length);
    const gate = this.#gate.promise;
    const reached = () => this.#reached.resolve();
    let first = true;
    return new ReadableStream({
      async pull(controller) {
        if (first) {
          first = false;
          if (end > start) controller.enqueue(content.slice(start, end));
          if (end >= content.length) controller.close();
          return;
        }
        reached();
        if (await gate === "cut") return controller.error(new Error("cut off"));
        controller.enqueue(content.slice(Math.max(start, end)));
        controller.close();
      },
    }, { highWaterMark: 0 });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.release();
    await this.#server.shutdown();
  }
}
