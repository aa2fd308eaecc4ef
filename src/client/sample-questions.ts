const CHAT_QUESTION = "What is cortex?";
const TOOL_QUESTION = "What is the weather in Lisbon?";

const WEATHER_TOOL = {
  type: "function",
  function: {
    name: "get_weather",
    description: "Get the current weather in a city",
    parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
  },
} as const;

/** A question that any chat model can answer in words. */
export const sampleChatRequest = (model: string): Readonly<Record<string, unknown>> => ({
  model,
  messages: [{ role: "user", content: CHAT_QUESTION }],
  temperature: 0,
  max_tokens: 128,
});

/** A question that needs the tool it brings. */
export const sampleToolRequest = (model: string): Readonly<Record<string, unknown>> => ({
  model,
  messages: [{ role: "user", content: TOOL_QUESTION }],
  tools: [WEATHER_TOOL],
  temperature: 0,
  max_tokens: 128,
});

/** One question in words, one that needs a tool. Both are within what the demo model was trained for. */
export const SAMPLE_QUESTIONS = [
  { question: CHAT_QUESTION, tools: [], request: sampleChatRequest },
  { question: TOOL_QUESTION, tools: [WEATHER_TOOL.function.name], request: sampleToolRequest },
] as const;
