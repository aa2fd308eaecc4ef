import { ANTHROPIC } from "./anthropic-dialect.ts";
import type { ConformDialect } from "./conform-dialect.ts";
import { OLLAMA } from "./ollama-dialect.ts";
import { OPENAI, RESPONSES } from "./openai-dialects.ts";

export const CONFORM_DIALECTS = {
  openai: OPENAI,
  anthropic: ANTHROPIC,
  responses: RESPONSES,
  ollama: OLLAMA,
} as const satisfies Readonly<Record<string, ConformDialect>>;

export type ConformDialectName = keyof typeof CONFORM_DIALECTS;
