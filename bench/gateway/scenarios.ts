/** What is asked of every system in turn. */
export interface Scenario {
  readonly name: string;
  readonly what: string;
  readonly connections: number;
  readonly requests: number;
  /** Of a stream; 0: the answer is whole. */
  readonly events: number;
  readonly everyMs: number;
  readonly promptBytes: number;
}

export const MODEL = "bench/demo";

const WHOLE = { events: 0, everyMs: 0, promptBytes: 14 };

export const SCENARIOS: readonly Scenario[] = [
  { name: "whole-c1", what: "answers of 700 bytes, one at a time", connections: 1, requests: 3000, ...WHOLE },
  {
    name: "whole-c32",
    what: "answers of 700 bytes, 32 at a time",
    connections: 32,
    requests: 16_000,
    ...WHOLE,
  },
  {
    name: "whole-c256",
    what: "answers of 700 bytes, 256 at a time",
    connections: 256,
    // So many that what is slowest of a hundred is not what opens the connections.
    requests: 48_000,
    ...WHOLE,
  },
  {
    name: "open-c256",
    what: "256 connections opened at once, one answer of 700 bytes on each",
    connections: 256,
    requests: 256,
    ...WHOLE,
  },
  {
    name: "stream-40",
    what: "streams of 40 events, body of 36 KB, 16 at a time",
    connections: 16,
    requests: 320,
    events: 40,
    everyMs: 4,
    promptBytes: 36_000,
  },
  {
    name: "streams-5",
    what: "1,000 streams at 5 events a second",
    connections: 1000,
    requests: 1000,
    events: 20,
    everyMs: 200,
    promptBytes: 14,
  },
  {
    name: "streams-20",
    what: "1,000 streams at 20 events a second",
    connections: 1000,
    requests: 1000,
    events: 80,
    everyMs: 50,
    promptBytes: 14,
  },
];

/** The compilers have seen the work before anything counts. */
export const WARM_UPS: readonly Scenario[] = [
  { name: "warm-up", what: "", connections: 32, requests: 12_000, ...WHOLE },
  { name: "warm-up", what: "", connections: 64, requests: 128, events: 20, everyMs: 5, promptBytes: 14 },
];

export const bodyOf = ({ events, everyMs, promptBytes }: Scenario): string => {
  const content = "Say something. ".repeat(Math.ceil(promptBytes / 15)).slice(0, promptBytes);
  const messages = JSON.stringify([{ role: "user", content }]);
  const pace = events === 0 ? "" : `,"stream":true,"max_tokens":${events},"seed":${everyMs}`;
  return `{"model":"${MODEL}","messages":${messages}${pace}}`;
};
