import type { Hook } from "@oclif/core";
import { nearest } from "../core/nearest.ts";
import { CortexError, errorKind } from "../core/errors.ts";
import { printError } from "./print-error.ts";

/** oclif's `command_not_found` hook: names the command that was most likely meant. */
const suggestCommand: Hook<"command_not_found"> = function suggestCommand(options): Promise<void> {
  const guess = nearest(options.id, options.config.commandIDs);
  const error = new CortexError("usage_error", `there is no command "${options.id}"`, {
    next: guess === undefined ? "cortex --help lists the commands" : `cortex ${guess} --help`,
  });
  process.stderr.write(`${printError(error, { colour: false })}\n`);
  process.exitCode = errorKind(error.code).exitCode;
  return Promise.resolve();
};

// oclif loads a hook by its file and takes the default export.
// oxlint-disable-next-line import/no-default-export
export default suggestCommand;
