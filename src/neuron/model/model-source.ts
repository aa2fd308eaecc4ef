import { CortexError } from "../../core/errors.ts";
import { err, ok, type Result } from "../../core/result.ts";

/** Where a model's file is said to be. */
export type ModelSource =
  /** A path, absolute or below one of the model roots. */
  | { readonly kind: "file"; readonly path: string }
  /** A name in the model store. */
  | { readonly kind: "store"; readonly name: string };

/** Schemes of places that other systems fetch from; an id such as `qwen3:8b` is a name all the same. */
const REMOTE_SCHEMES = new Set([
  "hf",
  "huggingface",
  "http",
  "https",
  "s3",
  "oci",
  "ollama",
  "modelscope",
  "git",
]);

/** Those that the store fetches when they stand in `source`; here they can only come from an id. */
const FETCHED_SCHEMES = new Set(["hf", "https"]);

/** Reads `source`, or the id where there is none; refuses what this neuron cannot fetch and what leaves the store. */
export function parseModelSource(spec: {
  readonly model_id: string;
  readonly source?: string | undefined;
}): Result<ModelSource, CortexError> {
  const text = spec.source ?? spec.model_id;
  if (text.includes("\0")) return forbidden(text.replaceAll("\0", "\\0"), "holds a zero byte");
  if (spec.source !== undefined && text.startsWith("file:")) return parseFile(text);
  const scheme = /^([A-Za-z][A-Za-z0-9+.-]*):/.exec(text)?.[1]?.toLowerCase();
  if (scheme !== undefined && (REMOTE_SCHEMES.has(scheme) || text.includes("://"))) {
    return err(unsupported(text, scheme));
  }
  return parseStoreName(text);
}

function parseStoreName(name: string): Result<ModelSource, CortexError> {
  if (climbs(name)) return forbidden(name, "leaves the model store");
  if (!/^[/~]/.test(name)) return ok({ kind: "store", name });
  return err(
    new CortexError("source_unsupported", `${name} is a path, not a name in the model store`, {
      param: "source",
      next: name.startsWith("/") ? `write it as file:${name}` : "write it as file:<absolute path>",
    }),
  );
}

function parseFile(text: string): Result<ModelSource, CortexError> {
  const path = text.slice("file:".length).replace(/^\/\/(?=\/)/, "");
  if (path === "" || path.startsWith("//") || path.startsWith("~")) {
    return err(
      new CortexError("source_unsupported", `${text} does not name a file on this machine`, {
        next: "write file:<absolute path>, or file:<path below a model root>",
      }),
    );
  }
  if (climbs(path)) return forbidden(text, "climbs with ..");
  return ok({ kind: "file", path });
}

const climbs = (path: string): boolean => path.split(/[/\\]/).includes("..");

const forbidden = (text: string, reason: string): Result<ModelSource, CortexError> =>
  err(new CortexError("source_forbidden", `source ${text} ${reason}`, { param: "source" }));

function unsupported(text: string, scheme: string): CortexError {
  return new CortexError(
    "source_unsupported",
    `source ${text}: this neuron does not download from ${scheme}:`,
    {
      param: "source",
      details: { scheme },
      next: FETCHED_SCHEMES.has(scheme)
        ? "name it in `source`: an id alone is the name of a file in the store"
        : "use hf: or https:, or fetch the GGUF file into the neuron's model store and name it",
    },
  );
}
