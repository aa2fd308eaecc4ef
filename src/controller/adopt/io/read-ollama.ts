import { readdir, readFile, stat } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { request } from "undici";
import { z } from "zod";
import { CortexError, toCortexError } from "../../../core/errors.ts";
import type { NamedModelfile } from "../peers/ollama.ts";

const tagsSchema = z.looseObject({ models: z.array(z.looseObject({ name: z.string() })).default([]) });
const shownSchema = z.looseObject({ modelfile: z.string() });

/** A server that is asked for its models answers at once, or it is not there. */
const ANSWER_MS = 10_000;

/** Modelfiles of a running Ollama (`http://127.0.0.1:11434`), of a directory, or of one file. */
export async function readOllama(place: string): Promise<readonly NamedModelfile[]> {
  if (/^https?:\/\//.test(place)) return readServer(place.replace(/\/+$/, ""));
  const found = await modelfilesAt(place);
  if (found.length === 0) {
    throw new CortexError("fleet_not_found", `${place} has no Modelfile`, {
      next: "name a Modelfile, a directory with *.modelfile files, or a running Ollama: http://127.0.0.1:11434",
    });
  }
  return Promise.all(
    found.map(async (path) => ({ name: nameOf(path), place: path, text: await readFile(path, "utf8") })),
  );
}

/** Paths of Modelfiles: the file itself, or those that lie in a directory or one below it. */
export async function modelfilesAt(path: string): Promise<string[]> {
  if (!(await stat(path)).isDirectory()) return isModelfile(path) ? [path] : [];
  const entries = await readdir(path, { withFileTypes: true });
  const inside = entries
    .filter((entry) => entry.isDirectory())
    .map((entry) => join(path, entry.name, "Modelfile"));
  const nested = await Promise.all(inside.map(async (file) => ((await isFile(file)) ? [file] : [])));
  const own = entries.filter((entry) => entry.isFile()).map((entry) => join(path, entry.name));
  return [...own.filter(isModelfile), ...nested.flat()].toSorted();
}

const isFile = (path: string): Promise<boolean> =>
  stat(path).then(
    (found) => found.isFile(),
    () => false,
  );

const isModelfile = (path: string): boolean => /^modelfile(?:\..+)?$|\.modelfile$/i.test(basename(path));

/** `qwen.modelfile` and `Modelfile.qwen` are qwen's; a plain `Modelfile` is its directory's. */
function nameOf(path: string): string {
  const [, before, after] = /^(?:modelfile\.(.+)|(.+)\.modelfile)$/i.exec(basename(path)) ?? [];
  return before ?? after ?? basename(dirname(resolve(path)));
}

async function readServer(address: string): Promise<readonly NamedModelfile[]> {
  try {
    const { models } = tagsSchema.parse(await ask(`${address}/api/tags`));
    const files: NamedModelfile[] = [];
    for (const { name } of models) {
      const shown = shownSchema.parse(await ask(`${address}/api/show`, { model: name }));
      files.push({ name, place: address, text: shown.modelfile });
    }
    return files;
  } catch (thrown) {
    const said = thrown instanceof z.ZodError ? "its answer is not Ollama's" : toCortexError(thrown).message;
    throw new CortexError(
      "upstream_connection_error",
      `${address} cannot be read as an Ollama server: ${said}`,
      {
        next: "start it with `ollama serve`, or name its address",
        cause: thrown,
      },
    );
  }
}

async function ask(url: string, body?: Readonly<Record<string, unknown>>): Promise<unknown> {
  const post = {
    method: "POST",
    body: JSON.stringify(body),
    headers: { "content-type": "application/json" },
  } as const;
  const timeouts = { headersTimeout: ANSWER_MS, bodyTimeout: ANSWER_MS };
  const answer = await request(url, { ...(body === undefined ? {} : post), ...timeouts });
  if (answer.statusCode === 200) return answer.body.json();
  await answer.body.dump();
  throw new CortexError("upstream_connection_error", `${url} answered ${answer.statusCode}`, {
    next: "name the address of an Ollama server",
  });
}
