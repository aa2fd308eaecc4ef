import type { Hook } from "@oclif/core";
import { nearest } from "../core/nearest.ts";
import { CortexError, errorKind } from "../core/errors.ts";
import { readEnvironment } from "../platform/environment.ts";
import { errorToJson, printError } from "./print/print-error.ts";

/** oclif's `command_not_found` hook: names the command that was most likely meant. */
const suggestCommand: Hook<"command_not_found"> = function suggestCommand(options): Promise<void> {
  const wanted = options.id.replaceAll(":", " ");
  const guess = nearest(options.id, options.config.commandIDs)?.replaceAll(":", " ");
  const error = new CortexError("usage_error", `there is no command "${wanted}"`, {
    next: `${guess === undefined ? "" : `did you mean cortex ${guess}? `}cortex --help lists the commands`,
  });
  if (options.argv?.includes("--json") === true) {
    process.stdout.write(`${JSON.stringify(errorToJson(error), undefined, 2)}\n`);
  } else {
    process.stderr.write(`${printError(error, { colour: readEnvironment().stderrColour })}\n`);
  }
  process.exitCode = errorKind(error.code).exitCode;
  return Promise.resolve();
};

// oxlint-disable-next-line import/no-default-export -- oclif loads a hook by its file and takes the default export
export default suggestCommand;
