/** The routes that need no token: health, the edges' downloads, logging in. */

import { ApiError } from "../api_error.ts";
import type { Accounts } from "../accounts.ts";
import type { Log } from "../effects.ts";
import { serveEdgeFile } from "./edge_files.ts";
import { bodyText, type Call, readBody } from "./request.ts";
import { json, plain } from "./respond.ts";
import type { Route } from "./router.ts";
import { cleanText } from "../values.ts";

const MAX_LOGGED_EMAIL_CHARS = 100;

/** What these routes work with. */
export interface OpenRoutesOptions {
  accounts: Accounts;
  log: Log;
  bundleDirectory: string;
  /** Rejects, or resolves with what is wrong, when the manager cannot work. */
  checkHealth: () => Promise<string | undefined>;
}

/** The routes that need no token. */
export function openRoutes(options: OpenRoutesOptions): Route[] {
  const { accounts, log, bundleDirectory } = options;

  async function health(): Promise<Response> {
    const problem = await options.checkHealth();
    return problem === undefined ? plain("ok", 200) : plain(problem, 503);
  }

  async function login(call: Call): Promise<Response> {
    const body = await readBody(call.request);
    const [email, password] = [bodyText(body, "email"), bodyText(body, "password")];
    try {
      const issued = await accounts.login({ email, password, address: call.address });
      return json({
        access_token: issued.token,
        token_type: "Bearer",
        expires_in: issued.expiresIn,
        role: issued.role,
      });
    } catch (e) {
      if (e instanceof ApiError) {
        const who = cleanText(email, MAX_LOGGED_EMAIL_CHARS);
        log.warn(`login as "${who}" from ${call.address} refused: ${e.message}`);
      }
      throw e;
    }
  }

  const file = serveEdgeFile(bundleDirectory);
  return [
    { method: "GET", pattern: "/healthz", access: "open", handle: health },
    { method: "GET", pattern: "/readyz", access: "open", handle: health },
    { method: "GET", pattern: "/edge/:file", access: "open", handle: file },
    { method: "POST", pattern: "/api/v1/auth/login", access: "open", handle: login },
  ];
}
