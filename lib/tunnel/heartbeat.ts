import { ProtocolError } from "../cli/errors.ts";
import type { Clock } from "./clock.ts";
import type { Connection } from "./connection.ts";
import type { PacketIds } from "./packet_id.ts";

/** A client's heartbeat. */
export interface HeartbeatOptions {
  readonly clock: Clock;
  /** Time between two heartbeats, ms. */
  readonly intervalMs: number;
  readonly connection: Pick<Connection, "lastBytes" | "send" | "destroy">;
  readonly ids: PacketIds;
}

/**
 * Looks without new bytes, two to an interval, after which the peer is dead: two intervals of
 * silence although heartbeats asked for answers. Looks are counted instead of time, so that a
 * process that was stopped for a while gives its peer another chance.
 */
const SILENT_LOOKS = 4;

/**
 * Sends a heartbeat each interval, the first one after an interval, and ends the connection when
 * nothing at all comes back: TCP alone can take a quarter of an hour to notice a peer that is
 * gone. Returns how to stop.
 */
export function startHeartbeat(options: HeartbeatOptions): () => void {
  const { clock, intervalMs, connection, ids } = options;
  let seen = connection.lastBytes;
  let silent = 0;
  let due = false;
  let stop = clock.after(intervalMs / 2, look);
  function look(): void {
    silent = connection.lastBytes === seen ? silent + 1 : 0;
    seen = connection.lastBytes;
    if (silent >= SILENT_LOOKS) return connection.destroy(dead(clock.monotonic() - seen));
    if (due) connection.send({ type: "Heartbeat", packetId: ids.next() });
    due = !due;
    stop = clock.after(intervalMs / 2, look);
  }
  return () => stop();
}

function dead(silence: number): ProtocolError {
  const seconds = (silence / 1000).toFixed(1);
  return new ProtocolError(`Nothing came from the broker for ${seconds} s`, { kind: "timeout" });
}
