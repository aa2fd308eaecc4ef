import { execFile } from "node:child_process";
import type { Clock } from "../core/clock.ts";
import type { SupervisionWish } from "./environment.ts";

/** systemd, which waits for a service to be ready and restarts one that has fallen silent (sd_notify(3)). */
export interface ServiceManager {
  /** Up: whoever is ordered after this service may start. From now on it hears of us in time. */
  ready(): void;
  /** On the way out: silence is no fault any more. */
  stopping(): void;
}

export interface ServiceManagerDeps {
  readonly clock: Clock;
  /** Sends one message. */
  readonly send: (assignment: string) => void;
}

const nothing = (): void => undefined;

/**
 * The sign of life comes from this process's own event loop, so that a loop that is held up for the whole time is
 * found. Twice in the time that is allowed, as sd_watchdog_enabled(3) has it.
 */
export function createServiceManager(
  wish: SupervisionWish | undefined,
  { clock, send }: ServiceManagerDeps,
): ServiceManager {
  let disarm = nothing;
  const { watchdogMs } = wish ?? {};
  const arm = (): void => {
    if (watchdogMs === undefined) return;
    disarm = clock.alarm(watchdogMs / 2, () => {
      send("WATCHDOG=1");
      arm();
    });
  };
  if (wish === undefined) return { ready: nothing, stopping: nothing };
  return {
    ready: () => {
      send("READY=1");
      arm();
    },
    stopping: () => {
      disarm();
      send("STOPPING=1");
    },
  };
}

/**
 * By systemd's own tool: Node has no datagram sockets of the file system. The tool stays until the message was taken,
 * and the unit lets it speak for the service (`NotifyAccess=all`).
 */
export const sendBySystemdNotify =
  (warn: (line: string) => void) =>
  (assignment: string): void => {
    execFile("systemd-notify", [assignment], (thrown) => {
      if (thrown !== null) warn(`systemd was not told ${assignment}: ${thrown.message.trim()}`);
    });
  };
