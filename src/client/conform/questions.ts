import type { OfferedTool, Question } from "./conform-dialect.ts";

const WEATHER: OfferedTool = {
  name: "get_weather",
  description: "Get the current weather in a city",
  parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
};

const TIME: OfferedTool = {
  name: "get_time",
  description: "Get the current time",
  parameters: { type: "object", properties: {} },
};

/** What a server is asked: little, and nothing that a small model could not answer. */
export const QUESTIONS = {
  plain: { text: "What is cortex?", limit: 96, stream: false },
  short: { text: "What is cortex?", limit: 3, stream: false },
  tool: { text: "What is the weather in Lisbon?", limit: 128, stream: false, tools: [WEATHER] },
  demanded: {
    text: "What is the weather in Lisbon?",
    limit: 128,
    stream: false,
    tools: [WEATHER, TIME],
    demand: WEATHER.name,
  },
  bare: { text: "What time is it?", limit: 128, stream: false, tools: [WEATHER, TIME], demand: TIME.name },
  /** Longer than anybody stays. */
  long: { text: "Count from 1 to 100000 in words, and do not stop.", limit: 4000, stream: false },
} as const satisfies Readonly<Record<string, Question>>;
