import type * as Yaml from "yaml";
import { CortexError } from "../../../core/errors.ts";
import type { KeyPath } from "../../../core/key-path.ts";
import type { LocatedDocument } from "../imported/located-document.ts";

type YamlModule = typeof Yaml;

/** YAML text with its lines. Throws `fleet_invalid` at the place where it is none. */
export async function readYaml(file: {
  readonly path: string;
  readonly text: string;
}): Promise<LocatedDocument> {
  // Loaded only here: every other command does without.
  const yaml = await import("yaml");
  const lineCounter = new yaml.LineCounter();
  const document = yaml.parseDocument(file.text, { lineCounter, prettyErrors: false, merge: true });
  const [problem] = document.errors;
  if (problem !== undefined) {
    const { line, col } = lineCounter.linePos(problem.pos[0]);
    throw new CortexError("fleet_invalid", `${file.path}:${line}:${col}: ${problem.message}`, {
      next: "mend the YAML, then import again",
    });
  }
  const lineOf = (path: KeyPath): number | null => {
    const offset = offsetOf(yaml, document.contents, path);
    return offset === undefined ? null : lineCounter.linePos(offset).line;
  };
  return { path: file.path, value: plainValue(file.path, document), lineOf };
}

/** Where the key or the element at the path starts, or the nearest one around it that has a place. */
function offsetOf(yaml: YamlModule, from: unknown, path: KeyPath): number | undefined {
  const [step, ...rest] = path;
  if (step === undefined) return undefined;
  const { place, node } = stepInto(yaml, from, step);
  const offset = yaml.isNode(place) ? place.range?.[0] : undefined;
  return offsetOf(yaml, node, rest) ?? offset;
}

function stepInto(
  yaml: YamlModule,
  from: unknown,
  step: string | number,
): { readonly place?: unknown; readonly node?: unknown } {
  if (yaml.isSeq(from) && typeof step === "number")
    return { place: from.items[step], node: from.items[step] };
  if (!yaml.isMap(from)) return {};
  const pair = from.items.find(({ key }) => yaml.isScalar(key) && String(key.value) === String(step));
  return { place: pair?.key, node: pair?.value };
}

function plainValue(path: string, document: Yaml.Document): unknown {
  try {
    // References of YAML can make a small text huge.
    return document.toJS({ maxAliasCount: 100 }) as unknown;
  } catch (thrown) {
    throw new CortexError(
      "fleet_invalid",
      `${path}: ${thrown instanceof Error ? thrown.message : String(thrown)}`,
      {
        next: "write the repeated parts out",
        cause: thrown,
      },
    );
  }
}
