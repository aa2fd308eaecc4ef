/** `<stem>-00001-of-00003.gguf`, as llama.cpp's splitter names the parts of one model. */
const SHARD = /^(.*)-(\d{5})-of-(\d{5})\.gguf$/i;

export interface ShardName {
  /** What all parts share: the path up to the number. */
  readonly stem: string;
  /** From 1. */
  readonly number: number;
  readonly count: number;
}

/** Reads the name of a part; null for a model in one file. */
export function parseShardName(path: string): ShardName | null {
  const [, stem, number, count] = SHARD.exec(path) ?? [];
  if (stem === undefined || number === undefined || count === undefined) return null;
  return { stem, number: Number(number), count: Number(count) };
}

/** The paths of all parts, in order, the given one among them; just the path itself where there are no parts. */
export function allShards(path: string): readonly string[] {
  const shard = parseShardName(path);
  if (shard === null) return [path];
  const extension = path.slice(-".gguf".length);
  return Array.from(
    { length: shard.count },
    (_, at) => `${shard.stem}-${digits(at + 1)}-of-${digits(shard.count)}${extension}`,
  );
}

const digits = (figure: number): string => String(figure).padStart(5, "0");
