import { CortexError } from "../../core/errors.ts";
import { nearest } from "../../core/nearest.ts";
import { compareText } from "../../core/order.ts";
import { err, ok, type Result } from "../../core/result.ts";
import { allShards, parseShardName } from "../model/shard-names.ts";

/** A file as a repository lists it. */
export interface ListedFile {
  readonly path: string;
  readonly sizeBytes: number | null;
  readonly sha256: string | null;
}

/** What most people mean when they name a repository and no quantisation. */
const USUAL_TAG = "Q4_K_M";
const LISTED_NAMES = 20;
/** GGUF files beside a model that are no model: projectors for images, importance matrices. */
const NO_MODEL = /(^|\/)(mmproj|imatrix)[^/]*$|[._-]imatrix\.gguf$/i;
/** How quantisations are named: Q4_K_M, IQ2_XXS, BF16, F16, MXFP4_MOE, TQ1_0. */
const QUANTISATION = /(?:^|[^A-Za-z0-9])((?:I?Q\d|TQ\d|BF16|F16|F32|MXFP\d)[A-Z0-9_]*)(?=[^A-Za-z0-9_]|$)/i;

interface Choice {
  /** The path that stands for the model: the file, or the first of its parts. */
  readonly name: string;
  readonly files: readonly ListedFile[];
}

/**
 * The files of one model among those of a repository: the file that is named, with the other parts of its set, or
 * the one whose name carries the tag. A tag matches whole (Q4_K is not Q4_K_M); of several, the shortest name, so
 * that Q4_K_XL is not UD-Q4_K_XL where both are there. Nothing is guessed beyond that: a tie is refused.
 */
export function chooseFiles(
  listed: readonly ListedFile[],
  wanted: { readonly repository: string; readonly file: string | undefined },
): Result<readonly ListedFile[], CortexError> {
  const { repository, file } = wanted;
  const models = gatherModels(listed);
  const available = models.map(({ name }) => name);
  if (models.length === 0) {
    return refuse(`${repository} has no GGUF file`, {
      available: [],
      next: "name a repository of GGUF files; those of one model often end in -GGUF",
    });
  }
  if (file?.toLowerCase().endsWith(".gguf") === true) return chooseByPath(models, { repository, path: file });
  const matching = file === undefined ? withoutTag(models) : models.filter(({ name }) => carries(name, file));
  const [best, second] = matching.toSorted(
    (left, right) => left.name.length - right.name.length || compareText(left.name, right.name),
  );
  if (best === undefined) return noSuchTag(models, { repository, tag: file });
  if (second?.name.length === best.name.length) {
    return refuse(`${repository} has ${best.name} and ${second.name}`, {
      available,
      next: `name the file: hf:${repository}:${best.name}`,
    });
  }
  return complete(best, listed);
}

function gatherModels(listed: readonly ListedFile[]): readonly Choice[] {
  const models = new Map<string, ListedFile[]>();
  for (const file of listed) {
    if (!/\.gguf$/i.test(file.path) || NO_MODEL.test(file.path)) continue;
    const name = allShards(file.path)[0] ?? file.path;
    models.set(name, [...(models.get(name) ?? []), file]);
  }
  return [...models]
    .map(([name, files]) => ({ name, files }))
    .toSorted((left, right) => compareText(left.name, right.name));
}

function chooseByPath(
  models: readonly Choice[],
  { repository, path }: { readonly repository: string; readonly path: string },
): Result<readonly ListedFile[], CortexError> {
  const first = allShards(path)[0] ?? path;
  const found = models.find(({ name }) => name === first);
  if (found !== undefined) {
    return complete(
      found,
      models.flatMap(({ files }) => files),
    );
  }
  const available = models.map(({ name }) => name);
  const meant = nearest(path, available);
  return refuse(
    `${repository} has no file ${path}${meant === undefined ? "" : `; did you mean ${meant}?`}`,
    meant === undefined ? { available } : { available, meant },
  );
}

/** The only one, else the usual one. */
function withoutTag(models: readonly Choice[]): readonly Choice[] {
  return models.length === 1 ? models : models.filter(({ name }) => carries(name, USUAL_TAG));
}

function carries(name: string, tag: string): boolean {
  const escaped = tag.replaceAll(/[^A-Za-z0-9_]/g, String.raw`\$&`);
  return new RegExp(`(?:^|[^A-Za-z0-9])${escaped}(?:[^A-Za-z0-9_]|$)`, "i").test(name);
}

function noSuchTag(
  models: readonly Choice[],
  { repository, tag }: { readonly repository: string; readonly tag: string | undefined },
): Result<readonly ListedFile[], CortexError> {
  const available = models.map(({ name }) => name);
  const tags = [...new Set(available.flatMap((name) => QUANTISATION.exec(name)?.[1]?.toUpperCase() ?? []))];
  const choices = tags.length === 0 ? "" : `; it has ${tags.join(", ")}`;
  if (tag === undefined) {
    const next = `say which: hf:${repository}:${tags[0] ?? available[0] ?? "TAG"}`;
    return refuse(`${repository} has ${models.length} models and none is ${USUAL_TAG}${choices}`, {
      available,
      next,
    });
  }
  const meant = nearest(tag, tags);
  const hint = meant === undefined ? choices : `; did you mean ${meant}?`;
  return refuse(
    `${repository} has no GGUF of ${tag}${hint}`,
    meant === undefined ? { available } : { available, meant },
  );
}

/** Every part that the first one's name promises, in order. */
function complete(choice: Choice, listed: readonly ListedFile[]): Result<readonly ListedFile[], CortexError> {
  const byPath = new Map(listed.map((file) => [file.path, file]));
  const wanted = allShards(choice.name);
  const missing = wanted.filter((path) => !byPath.has(path));
  if (missing.length === 0) return ok(wanted.flatMap((path) => byPath.get(path) ?? []));
  const count = parseShardName(choice.name)?.count ?? wanted.length;
  return refuse(
    `${choice.name}: ${missing.length} of its ${count} parts are not there (${missing[0] ?? ""})`,
    {
      available: choice.files.map(({ path }) => path),
    },
  );
}

function refuse(
  message: string,
  told: { readonly available: readonly string[]; readonly meant?: string; readonly next?: string },
): Result<never, CortexError> {
  return err(
    new CortexError("source_not_found", message, {
      param: "source",
      details: { nearest: told.meant ?? null, available: told.available.slice(0, LISTED_NAMES) },
      next: told.next ?? "mend `source` in the model's block; `available` lists what the repository has",
    }),
  );
}
