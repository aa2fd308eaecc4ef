import { z } from "zod";

/**
 * A request of OpenAI's Responses API. Only what is translated is looked at: unknown fields and hints
 * (`client_metadata`, `prompt_cache_key`, `service_tier`) are tolerated, since agents end their session when one is
 * refused.
 */
const partSchema = z.looseObject({ type: z.string() });
export type Part = z.infer<typeof partSchema>;

const contentSchema = z.union([z.string(), z.array(partSchema)]);
export type Content = z.infer<typeof contentSchema>;

/** Of every kind in one shape: which fields an item needs depends on its type, and is said where it is read. */
const itemSchema = z.looseObject({
  type: z.string().nullish(),
  role: z.enum(["user", "assistant", "system", "developer"]).optional(),
  content: contentSchema.nullish(),
  call_id: z.string().optional(),
  name: z.string().optional(),
  namespace: z.string().nullish(),
  arguments: z.string().optional(),
  input: z.string().optional(),
  output: contentSchema.optional(),
  summary: z.array(z.looseObject({ text: z.string() })).nullish(),
  encrypted_content: z.string().nullish(),
});
export type Item = z.infer<typeof itemSchema>;

const schemaOfArguments = z.record(z.string(), z.unknown());

const memberToolSchema = z.looseObject({
  type: z.string(),
  name: z.string().min(1).optional(),
  description: z.string().nullish(),
  parameters: schemaOfArguments.nullish(),
  strict: z.boolean().nullish(),
  format: z.looseObject({ type: z.string() }).nullish(),
});
export type MemberTool = z.infer<typeof memberToolSchema>;

const toolSchema = memberToolSchema.extend({ tools: z.array(memberToolSchema).optional() });
export type Tool = z.infer<typeof toolSchema>;

const toolChoiceSchema = z.union([
  z.enum(["none", "auto", "required"]),
  z.looseObject({
    type: z.string(),
    name: z.string().optional(),
    mode: z.enum(["auto", "required"]).optional(),
    tools: z.array(z.looseObject({ type: z.string(), name: z.string().optional() })).optional(),
  }),
]);
export type ToolChoice = z.infer<typeof toolChoiceSchema>;

const formatSchema = z.discriminatedUnion("type", [
  z.looseObject({ type: z.literal("text") }),
  z.looseObject({ type: z.literal("json_object") }),
  z.looseObject({ type: z.literal("json_schema"), name: z.string().nullish(), schema: schemaOfArguments }),
]);

export const responsesRequestSchema = z.looseObject({
  model: z.string().min(1),
  input: z.union([z.string(), z.array(itemSchema)]).nullish(),
  instructions: z.string().nullish(),
  tools: z.array(toolSchema).nullish(),
  tool_choice: toolChoiceSchema.nullish(),
  parallel_tool_calls: z.boolean().nullish(),
  text: z.looseObject({ format: formatSchema.nullish() }).nullish(),
  reasoning: z.looseObject({ effort: z.string().nullish(), summary: z.string().nullish() }).nullish(),
  include: z.array(z.string()).nullish(),
  max_output_tokens: z.int().positive().nullish(),
  temperature: z.number().nullish(),
  top_p: z.number().nullish(),
  top_logprobs: z.int().nullish(),
  metadata: z.record(z.string(), z.unknown()).nullish(),
  stream: z.boolean().nullish(),
  background: z.boolean().nullish(),
  previous_response_id: z.string().nullish(),
  /** An answer is kept unless it is said otherwise. */
  store: z.boolean().nullish(),
  conversation: z.unknown().optional(),
  prompt: z.unknown().optional(),
});
export type ResponsesRequest = z.infer<typeof responsesRequestSchema>;
