import { nearest } from "../../core/nearest.ts";
import { err, ok, type Result } from "../../core/result.ts";
import type { ModelBlock } from "./fleet-schema.ts";

/** Where a model block says its file is. */
export type DeclaredSource =
  | { readonly kind: "file"; readonly path: string }
  | { readonly kind: "https"; readonly url: string }
  | HubSource
  /** A name in the neurons' model store. */
  | { readonly kind: "store"; readonly name: string };

export interface HubSource {
  readonly kind: "hf";
  /** `org/name`. */
  readonly repository: string;
  readonly revision: string | undefined;
  /** A tag such as Q4_K_M, or a path that ends in .gguf. */
  readonly file: string | undefined;
}

export interface SourceProblem {
  readonly message: string;
  readonly help?: string;
}

/** Weights in formats of other engines. */
const FOREIGN_WEIGHTS = /\.(safetensors|ggml|onnx|pth?|bin|ckpt|mlx)(?:$|\?)/i;

const SCHEMES = ["file", "https", "hf"];
const HUB_PART = "[A-Za-z0-9][A-Za-z0-9._-]*";
const HUB_SOURCE = new RegExp(
  `^hf:(${HUB_PART}/${HUB_PART})(?:@([A-Za-z0-9][A-Za-z0-9._/-]*))?(?::(${HUB_PART}|[A-Za-z0-9][A-Za-z0-9._/-]*\\.gguf))?$`,
);

/** Reads `source`, or says what is wrong with it. */
export function parseSource(source: string): Result<DeclaredSource, SourceProblem> {
  const format = FOREIGN_WEIGHTS.exec(source)?.[1];
  if (format !== undefined) {
    return err({
      message: `\`${source}\` is a ${format} file; the engine reads GGUF`,
      help: "name a .gguf of the same model: most have a repository whose name ends in -GGUF",
    });
  }
  const scheme = /^([A-Za-z][A-Za-z0-9+.-]*):/.exec(source)?.[1];
  switch (scheme) {
    case undefined:
      return parseStoreName(source);
    case "file":
      return parseFile(source);
    case "hf":
      return parseHub(source);
    case "https":
      return parseHttps(source);
    default:
      return err(unknownScheme(source, scheme));
  }
}

function parseStoreName(name: string): Result<DeclaredSource, SourceProblem> {
  if (name.startsWith("/")) {
    return err({ message: `\`${name}\` has no scheme`, help: `write \`file:${name}\`` });
  }
  if (climbs(name)) return err({ message: `\`${name}\` leaves the neurons' model store` });
  if (name.startsWith("~")) {
    return err({ message: `\`${name}\` means another directory for each user; neurons do not expand it` });
  }
  return ok({ kind: "store", name });
}

function parseFile(source: string): Result<DeclaredSource, SourceProblem> {
  const path = source.slice("file:".length).replace(/^\/\/(?=\/)/, "");
  if (path.startsWith("//")) {
    return err({ message: `\`${source}\` names a host; neurons read their own files only` });
  }
  if (!path.startsWith("/")) {
    return err({ message: `\`${source}\` is relative: each neuron would look somewhere else` });
  }
  if (climbs(path)) {
    return err({
      message: `\`${source}\` climbs with \`..\`; neurons refuse that`,
      help: "write the path in full",
    });
  }
  return ok({ kind: "file", path });
}

function parseHub(source: string): Result<DeclaredSource, SourceProblem> {
  const [, repository, revision, file] = HUB_SOURCE.exec(source) ?? [];
  if (repository === undefined || climbs(source)) {
    return err({
      message: `\`${source}\` is not hf:org/repo:TAG`,
      help: "write hf:org/repo:Q4_K_M, or hf:org/repo:file.gguf; hf:org/repo@revision:Q4_K_M pins a revision",
    });
  }
  return ok({ kind: "hf", repository, revision, file });
}

function parseHttps(source: string): Result<DeclaredSource, SourceProblem> {
  const url = URL.canParse(source) ? new URL(source) : undefined;
  if (url === undefined || url.pathname === "/" || /\s/.test(source)) {
    return err({ message: `\`${source}\` is no URL of a file` });
  }
  const page = /^\/([^/]+\/[^/]+?)(?:\/(?:tree|blob)\/.*)?\/?$/.exec(url.pathname)?.[1];
  if (url.hostname === "huggingface.co" && page !== undefined) {
    return err({
      message: `\`${source}\` is the page of a repository, not a file`,
      help: `write hf:${page}:Q4_K_M, or hf:${page}:file.gguf`,
    });
  }
  return ok({ kind: "https", url: source });
}

function unknownScheme(source: string, scheme: string): SourceProblem {
  if (scheme === "http") {
    return {
      message: `\`${source}\` can be read and changed on its way`,
      help: `write https:${source.slice("http:".length)}`,
    };
  }
  if (scheme === "huggingface") {
    return {
      message: `\`${scheme}:\` is not a source that cortex knows`,
      help: `write hf:${source.slice("huggingface:".length)}`,
    };
  }
  const meant = nearest(scheme, SCHEMES);
  return {
    message: `\`${scheme}:\` is not a source that cortex knows`,
    ...(meant === undefined ? {} : { help: `did you mean \`${meant}:\`?` }),
  };
}

const climbs = (path: string): boolean => path.split("/").includes("..");

/**
 * The source in one text, as neurons are told: `revision` and `quant` of the block stand in it, so that they are part
 * of what makes two copies the same. undefined: the id names the file.
 */
export function effectiveSource(
  block: Pick<ModelBlock, "source" | "revision" | "quant">,
): string | undefined {
  if (block.source === undefined) return undefined;
  const parsed = parseSource(block.source);
  if (!parsed.ok || parsed.value.kind !== "hf") return block.source;
  const { repository } = parsed.value;
  const revision = block.revision ?? parsed.value.revision;
  const file = parsed.value.file ?? block.quant;
  return `hf:${repository}${revision === undefined ? "" : `@${revision}`}${file === undefined ? "" : `:${file}`}`;
}
