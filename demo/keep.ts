/** What one can do with a fleet that was left up. */

import { join } from "@std/path";
import type { Fleet } from "./setup.ts";
import { NEW, OLD, type Stage } from "./stage.ts";

/** Prints how to use the API and the command line; ends with how to end it. */
export function printKeep({ directory, output }: Stage, fleet: Fleet): void {
  const { manager, api, members, releases } = fleet;
  const [member] = members;
  const program = join(releases.get(NEW)?.directory ?? "", "manager");
  const lines = [
    `The fleet stays up until Ctrl-C, in ${directory}.`,
    "",
    "The API (the token is good for a day):",
    `  TOKEN=${api.token}`,
    `  curl -sH "authorization: Bearer $TOKEN" ${manager.url}/api/v1/edges`,
    `  curl -sH "authorization: Bearer $TOKEN" ${manager.url}/api/v1/rollouts \\`,
    `    --json '{"version":"${OLD}","edges":"all"}'`,
    "",
    "The manager's command line:",
    `  ${program} edge list --db ${manager.database}`,
    ...(member === undefined ? [] : [
      "",
      "An edge's:",
      `  env ${hookSettings(member.host.environment())} \\`,
      `    ${member.host.target("ongrid-edge")} status`,
      `  cat ${member.host.log}`,
      `Its settings are in ${member.host.envFile}; a restart of the agent reads them.`,
    ]),
  ];
  output.result(lines.join("\n"));
}

function hookSettings(env: Record<string, string>): string {
  return Object.entries(env)
    .filter(([name]) => name.startsWith("ONGRID_EDGE_UPGRADE_"))
    .map(([name, value]) => `${name}=${value}`)
    .join(" ");
}
