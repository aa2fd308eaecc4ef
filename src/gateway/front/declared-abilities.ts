import { CortexError } from "../../core/errors.ts";
import { isRecord, parseJson } from "../../core/json.ts";
import type { ModelBlock } from "../../fleet/schema/fleet-schema.ts";
import { MEDIA_ROUTES, type DeclaredAbility } from "../../protocol/openai/media-routes.ts";

export interface AskedOfModel {
  readonly path: string;
  readonly body: Buffer;
  readonly modelId: string;
  /** Undefined for a model that no file declares. */
  readonly block: ModelBlock | undefined;
}

/**
 * What only an engine can do that is not ours, and only if its model declares it: pictures and sounds. Asked of another
 * model it is refused by name, before anything is loaded for it. Throws `wrong_modality`, `vision_unsupported` or
 * `unsupported_parameter`.
 */
export function requireDeclared(asked: AskedOfModel): void {
  const ability = MEDIA_ROUTES.get(asked.path);
  if (ability !== undefined) {
    if (!declares(asked.block, ability)) throw notAsked(asked, ability);
  } else if (asked.path === "/v1/chat/completions" && asked.block?.harness === "openai") {
    requireDeclaredParts(asked.body, asked.block);
  }
}

const declares = (block: ModelBlock | undefined, ability: DeclaredAbility): boolean =>
  block?.harness === "openai" && block.capabilities.includes(ability);

const notAsked = ({ path, modelId }: AskedOfModel, ability: DeclaredAbility): CortexError =>
  new CortexError("wrong_modality", `${modelId} does not answer ${path}: it has no capability "${ability}"`, {
    param: "model",
    next: `ask a model that has it (GET /v1/models), or declare capabilities = ["${ability}"] for one whose engine can (harness = "openai")`,
  });

const PARTS: readonly { readonly type: string; readonly ability: DeclaredAbility }[] = [
  { type: "image_url", ability: "vision" },
  { type: "input_audio", ability: "audio" },
];

/** The conversation is read only where a part could be in it that was not declared. */
function requireDeclaredParts(body: Buffer, block: ModelBlock): void {
  const refused = PARTS.filter(
    ({ type, ability }) => !declares(block, ability) && body.includes(`"${type}"`),
  );
  if (refused.length === 0) return;
  const parsed = parseJson(body.toString("utf8"));
  const messages = isRecord(parsed) ? parsed["messages"] : undefined;
  if (!Array.isArray(messages)) return;
  for (const [at, message] of messages.entries()) {
    const content: unknown = isRecord(message) ? message["content"] : undefined;
    if (!Array.isArray(content)) continue;
    for (const [partAt, part] of content.entries()) {
      const found = refused.find(({ type }) => isRecord(part) && part["type"] === type);
      if (found !== undefined) throw notRead(block.id, found, `messages.${at}.content.${partAt}`);
    }
  }
}

function notRead(modelId: string, { type, ability }: (typeof PARTS)[number], param: string): CortexError {
  const what = ability === "vision" ? "an image" : "a sound";
  return new CortexError(
    ability === "vision" ? "vision_unsupported" : "unsupported_parameter",
    `\`${param}\` is ${what} (${type}), and ${modelId} has no capability "${ability}"`,
    { param, next: `send text only, or declare capabilities = ["${ability}"] for a model whose engine can` },
  );
}
