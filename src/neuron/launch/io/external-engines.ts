import { constants } from "node:fs";
import { access } from "node:fs/promises";
import { CortexError, systemErrorCode } from "../../../core/errors.ts";
import type { ModelSpec } from "../../../protocol/neuron-api.ts";
import type { ModelFileFacts, ModelFiles } from "../../model/io/model-files.ts";
import { allowedProgram, specRefusal } from "../engine-program.ts";

/** Model files, where the engine of the card is there to load them; in the place of a file the engine of a model that has none here. */
export function withEngines(
  files: ModelFiles,
  { engines, missing }: { readonly engines: readonly string[]; readonly missing: CortexError | null },
): ModelFiles {
  const find = async (spec: ModelSpec): Promise<ModelFileFacts> => {
    const refusal = specRefusal(spec);
    if (refusal !== null) throw refusal;
    const path = spec.command === undefined ? (spec.endpoint ?? "") : await runnable(spec.command, engines);
    return { path, fileBytes: 0, shape: null };
  };
  const own = (): ModelFiles => {
    if (missing !== null) throw missing;
    return files;
  };
  return {
    inspect: async (spec) => (spec.harness === "openai" ? find(spec) : own().inspect(spec)),
    verify: async (spec, signal) => (spec.harness === "openai" ? find(spec) : own().verify(spec, signal)),
  };
}

async function runnable(command: readonly string[], engines: readonly string[]): Promise<string> {
  const program = allowedProgram(command, engines);
  if (!program.ok) throw program.error;
  await access(program.value, constants.X_OK).catch((thrown: unknown) => {
    const why =
      systemErrorCode(thrown) === "ENOENT" ? "is not there" : "may not be run by this neuron's user";
    throw new CortexError("engine_forbidden", `${program.value} ${why}`, {
      param: "command",
      next: "install the engine on this machine, or name its path with --engine",
    });
  });
  return program.value;
}
