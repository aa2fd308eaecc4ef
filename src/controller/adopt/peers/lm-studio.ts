import { by } from "../../../core/order.ts";
import { EMPTY_IMPORT, modelId, type ImportedFleet, type ImportNote } from "../imported/import-report.ts";

/** A GGUF below LM Studio's models folder, which is `publisher/repository/file.gguf`. */
export interface StudioFile {
  readonly path: string;
  readonly publisher: string;
  readonly repository: string;
  readonly name: string;
}

/** One model a repository; where it holds several files, each is a model with the file's name behind an @. */
export function importLmStudio(
  files: readonly StudioFile[],
  neuron: { readonly name: string; readonly endpoint: string },
): ImportedFleet {
  const notes: ImportNote[] = [];
  const models = files.filter(({ name }) => isModel(name));
  for (const { path, name } of files) {
    if (/mmproj/i.test(name)) {
      notes.push({
        file: path,
        line: null,
        what: name,
        reason: "the built-in engine does not handle images",
      });
    }
  }
  const groups = Map.groupBy(models, ({ publisher, repository }) => `${publisher}/${repository}`);
  const taken = new Set<string>();
  const written = [...groups].flatMap(([repository, group]) =>
    group.toSorted(by(({ name }) => name)).map(({ path, name }) => {
      const wanted = group.length === 1 ? repository : `${repository}@${stem(name)}`;
      const id = modelId(wanted, taken);
      taken.add(id);
      return { id, source: `file:${path}` };
    }),
  );
  return { ...EMPTY_IMPORT, neurons: [neuron], models: written, notes };
}

/** Of a model in shards, the first stands for all: the engine finds the others beside it. */
function isModel(name: string): boolean {
  const shard = /-(\d{5})-of-\d{5}\.gguf$/i.exec(name);
  return !/mmproj/i.test(name) && (shard === null || shard[1] === "00001");
}

const stem = (name: string): string => name.replace(/(?:-00001-of-\d{5})?\.gguf$/i, "");
