import { type Accounts, isAllowed, type Permission } from "../accounts.ts";
import { ApiError, invalid } from "../api_error.ts";
import type { Log } from "../effects.ts";
import type { UserRecord } from "../records.ts";
import { describeError } from "../../cli/errors.ts";
import { clientAddress } from "./client_address.ts";
import type { Call } from "./request.ts";
import { failure, plain } from "./respond.ts";

/** One entry of the route table. */
export interface Route {
  readonly method: "GET" | "POST" | "DELETE";
  /** The path; a part `:name` stands for anything without a slash. */
  readonly pattern: string;
  /** What the caller must be allowed; `open` needs no token. */
  readonly access: "open" | Permission;
  readonly handle: (call: Call) => Promise<Response> | Response;
}

/** What the router works with. */
export interface RouterOptions {
  routes: readonly Route[];
  accounts: Accounts;
  log: Log;
}

/** Answers a request that came from `peer`. */
export type HttpHandler = (request: Request, peer: { hostname: string }) => Promise<Response>;

type Match = { route: Route; params: Record<string, string> };

/**
 * Makes one handler of the route table. Below `/api/` everything that is not listed as open is
 * refused without a token before it is even looked for, so nothing can be found out by asking.
 */
export function createRouter(options: RouterOptions): HttpHandler {
  return async (request, peer) => {
    const url = URL.parse(request.url);
    if (url === null) return failure(invalid("the address of the request is none"));
    try {
      return await answer({ ...options, request, url, peer });
    } catch (e) {
      if (e instanceof ApiError) return failure(e);
      // What went wrong in here is for the log: it may name paths, queries or worse.
      options.log.error(`${request.method} ${url.pathname}: ${describeError(e).message}`);
      return failure(new ApiError("internal", "internal error; the manager's log says more"));
    }
  };
}

async function answer(
  { routes, accounts, request, url, peer }: RouterOptions & {
    request: Request;
    url: URL;
    peer: { hostname: string };
  },
): Promise<Response> {
  const method = request.method === "HEAD" ? "GET" : request.method;
  const found = matchRoutes(routes, url.pathname);
  const chosen = found.find(({ route }) => route.method === method);
  let user: UserRecord | undefined;
  if (chosen?.route.access !== "open") {
    if (chosen === undefined && !url.pathname.startsWith("/api/")) return notFound(found);
    const checked = await authorize(request, accounts, chosen?.route);
    if (checked instanceof Response) return checked;
    user = checked;
  }
  if (chosen === undefined) return notFound(found);
  const address = clientAddress(request.headers, peer.hostname);
  return await chosen.route.handle({ request, url, params: chosen.params, user, address });
}

/** The person behind the token, or the refusal; texts as the existing manager has them. */
async function authorize(
  request: Request,
  accounts: Accounts,
  route: Route | undefined,
): Promise<UserRecord | Response> {
  const challenge = { "www-authenticate": "Bearer" };
  const [, token] = /^Bearer +(\S+)$/i.exec(request.headers.get("authorization") ?? "") ?? [];
  if (token === undefined) return plain("missing bearer token", 401, challenge);
  const user = await accounts.recognize(token);
  if (user === undefined) return plain("invalid or expired token", 401, challenge);
  if (route === undefined || route.access === "open") return user;
  return isAllowed(user.role, route.access) ? user : plain("forbidden", 403);
}

function matchRoutes(routes: readonly Route[], path: string): Match[] {
  const given = path.split("/");
  return routes.flatMap((route) => {
    const params = matchParts(route.pattern.split("/"), given);
    return params === undefined ? [] : [{ route, params }];
  });
}

function matchParts(parts: string[], given: string[]): Record<string, string> | undefined {
  if (parts.length !== given.length) return undefined;
  const params: Record<string, string> = {};
  for (const [index, part] of parts.entries()) {
    const value = given[index] ?? "";
    if (part.startsWith(":")) params[part.slice(1)] = value;
    else if (part !== value) return undefined;
  }
  return params;
}

function notFound(found: Match[]): Response {
  if (found.length === 0) return failure(new ApiError("not-found", "no such route"));
  const allow = [...new Set(found.map(({ route }) => route.method))].join(", ");
  return plain("method not allowed", 405, { allow });
}
