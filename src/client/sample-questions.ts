import { DEMO_MODEL_ID } from "../demo/demo-fleet.ts";

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

export const demoChatRequest = (model = DEMO_MODEL_ID): Readonly<Record<string, unknown>> => ({
  model,
  messages: [{ role: "user", content: CHAT_QUESTION }],
  temperature: 0,
  max_tokens: 128,
});

export const demoToolRequest = (model = DEMO_MODEL_ID): Readonly<Record<string, unknown>> => ({
  model,
  messages: [{ role: "user", content: TOOL_QUESTION }],
  tools: [WEATHER_TOOL],
  temperature: 0,
  max_tokens: 128,
});

/** What `cortex up` asks: one question in words, one that needs a tool. Both are within what the demo model was trained for. */
export const DEMO_QUESTIONS = [
  { question: CHAT_QUESTION, tools: [], request: demoChatRequest },
  { question: TOOL_QUESTION, tools: [WEATHER_TOOL.function.name], request: demoToolRequest },
] as const;
