import { CortexError } from "../../core/errors.ts";
import { err, ok, type Result } from "../../core/result.ts";
import type { ModelSpec } from "../../protocol/neuron-api.ts";

const nameOf = (path: string): string => path.slice(path.lastIndexOf("/") + 1);

/**
 * The path of the program that a command names: one that this machine's operator allows, by its path or its name. Fleet
 * files and callers of the API choose among those, and run nothing else here.
 */
export function allowedProgram(
  command: readonly string[],
  engines: readonly string[],
): Result<string, CortexError> {
  const [program = ""] = command;
  const path = engines.find((engine) => engine === program || nameOf(engine) === program);
  if (path !== undefined) return ok(path);
  const allowed = engines.length === 0 ? "none" : engines.join(", ");
  return err(
    new CortexError("engine_forbidden", `this neuron does not run ${program} (allowed: ${allowed})`, {
      param: "command",
      details: { engines },
    }),
  );
}

/** Why a spec of an external engine can never be loaded, whatever the machine; null when it may. */
export function specRefusal(spec: ModelSpec): CortexError | null {
  if ((spec.endpoint === undefined) === (spec.command === undefined)) {
    return unsuitable("an external engine has either an endpoint or a command", "endpoint");
  }
  if (spec.endpoint !== undefined && !isHttpUrl(spec.endpoint)) {
    return unsuitable(
      `${spec.endpoint} is not the base URL of an engine, such as http://127.0.0.1:8000`,
      "endpoint",
    );
  }
  if (spec.command !== undefined && spec.vram_mb === undefined) {
    return unsuitable("the memory that a started engine takes must be declared", "vram_mb");
  }
  return null;
}

const unsuitable = (message: string, param: string): CortexError =>
  new CortexError("invalid_request_body", message, { param });

const isHttpUrl = (text: string): boolean => {
  const url = URL.parse(text);
  return url !== null && (url.protocol === "http:" || url.protocol === "https:");
};
