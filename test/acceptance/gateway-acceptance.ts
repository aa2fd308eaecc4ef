/** A line of the list, and what proves it: the title of a test (or of its row) in a file of test/gateway, or why there is none. */
export interface AcceptedLine {
  readonly line: string;
  readonly proofs: readonly (readonly [file: string, title: string])[];
}

export interface LeftOutLine {
  readonly line: string;
  readonly because: string;
}

const OWN = "acceptance/gateway-acceptance.integration.ts";
const RELAY = "gateway/gateway-relay.integration.ts";
const OPERATIONS = "gateway/gateway-operations.integration.ts";
const ANTHROPIC = "gateway/gateway-anthropic.integration.ts";
const RESPONSES = "gateway/gateway-responses.integration.ts";
const KEYS = "gateway/gateway-keys.integration.ts";
const RETRIES = "gateway/gateway-retries.integration.ts";
const ROUTING = "gateway/routing/route-request.test.ts";
const SCHEDULER = "gateway/loading/scheduler.test.ts";
const PLACES = "gateway/loading/plan-load.test.ts";
const MESSAGES = "gateway/dialect/messages-request.test.ts";
const MESSAGE_STREAM = "gateway/dialect/message-stream.property.ts";
const MODELS = "gateway/model-list.test.ts";
const VIEW = "gateway/view/fleet-view.test.ts";

/** What a gateway of a fleet has to show, line by line: what the tests of its predecessor pin, in our words. */
export const ACCEPTED: readonly AcceptedLine[] = [
  {
    line: "a chat request is passed on, and its answer comes back unchanged with its usage",
    proofs: [[RELAY, "a whole answer comes through with the neuron's name and a request id"]],
  },
  {
    line: "/health counts neurons, /v1/models is a list",
    proofs: [[OPERATIONS, "/v1/models, /health, /version and /fleet"]],
  },
  {
    line: "unknown model 404, no model 400, no healthy neuron 503, each in the envelope",
    proofs: [
      [RELAY, "an unknown model"],
      [RELAY, "no model"],
      [OWN, "no healthy neuron: 503 with the time to come back at, in the envelope"],
    ],
  },
  {
    line: "a model that recovers stays in /v1/models, and is 503 with a time for who cannot wait",
    proofs: [[OWN, "a copy that is being loaded anew stays in the list, and is waited for or told of"]],
  },
  {
    line: "a stream arrives as it is made, and ends in [DONE]",
    proofs: [[OWN, "a stream arrives as it is made: its first piece before its last is written"]],
  },
  {
    line: "a neuron's error keeps its status, code and Retry-After",
    proofs: [
      [RELAY, "a neuron's error keeps its status and words"],
      [RETRIES, "a full replica: the other one; both full: the neuron's own words"],
    ],
  },
  {
    line: "an alias is resolved in the body and listed with its target's places; other ids stay as they are",
    proofs: [
      [RELAY, "an alias changes the model's name and nothing else"],
      [RELAY, "the body reaches the neuron untouched, whatever is in it"],
      [MODELS, "catalogue, residents and aliases in order of id, each by the schema"],
    ],
  },
  {
    line: "Anthropic: round trip, system as text and as blocks, blocks of content, unknown model, broken body",
    proofs: [
      [ANTHROPIC, "a whole answer, and what the neuron was asked"],
      [MESSAGES, "a system prompt of blocks is one message"],
      [MESSAGES, "text as a string and as blocks"],
      [ANTHROPIC, "an unknown model"],
      [ANTHROPIC, "no JSON"],
    ],
  },
  {
    line: "Anthropic: the sequence of events, usage in a stream, tool calls as blocks, stop reasons, one end",
    proofs: [
      [ANTHROPIC, "a stream: the prompt's tokens at its beginning, nothing of OpenAI in it"],
      [MESSAGE_STREAM, "has the grammar that clients hold it to, and says all of what the model said"],
      [OWN, "a stream of Anthropic's: length, a missing reason, and nothing at all"],
    ],
  },
  {
    line: "Anthropic: choices of tools, results before the text of their turn, blocks in one text, system turns",
    proofs: [
      [MESSAGES, "results come before the text of their turn, in their order; a failed one says so"],
      [MESSAGES, "calls: no empty text beside them, arguments as JSON text, thinking comes back"],
      [MESSAGES, "a system message in the middle stays in its place"],
    ],
  },
  {
    line: "the system prompt crosses as it is in every dialect, and where there is none none is made",
    proofs: [[OWN, "$path: system prompts cross as they are, in order, and none is made"]],
  },
  {
    line: "Responses: passed on, no model, unknown model",
    proofs: [
      [RESPONSES, "a whole answer, and what the neuron was asked"],
      [RESPONSES, "a stream: the whole lifecycle, nothing of chat in it"],
    ],
  },
  {
    line: "keys: none 401, wrong 401, unknown is no more than none where none is asked for, health is open",
    proofs: [
      [KEYS, "serves nobody without one, and does not ask the neuron"],
      [KEYS, "allow_anonymous: models without a key, the fleet not"],
      ["gateway/keys/key-ring.test.ts", "a fleet without keys serves everybody, whatever filler is sent"],
    ],
  },
  {
    line: "budgets: spent for good is 429 without a time, a window 429 with one, neither reaches a neuron",
    proofs: [
      [KEYS, "a cap that is spent refuses with 429, for good or until the window rolls on"],
      [KEYS, "twenty at once never pass the cap"],
      [
        "gateway/keys/key-accounts.property.ts",
        "a reservation is charged once, and what it did not use is free again",
      ],
    ],
  },
  {
    line: "metering: by key; what is reserved follows the request's limit, then the model's, then 4096",
    proofs: [
      [KEYS, "answers, cut streams and failures are counted by key and model"],
      [OWN, "what is reserved: the request's own limit, else the model's, else 4096, for each answer"],
    ],
  },
  {
    line: "a conversation that is too long is told in the words that agents know",
    proofs: [[ANTHROPIC, "a conversation that is too long is told in the words that agents know"]],
  },
  {
    line: "the view: models and their status, capabilities in one list, one miss keeps and three drop, what is gone is gone",
    proofs: [
      [VIEW, "models that a neuron no longer reports are gone; measured load times stay"],
      [OPERATIONS, "three misses make a neuron unhealthy, one answer brings it back"],
      [MODELS, "an unhealthy neuron's models are not shown"],
    ],
  },
  {
    line: "limits and costs: the neuron's limit first, flat fields equal the nested ones, no cost is not a cost of zero",
    proofs: [[MODELS, "catalogue, residents and aliases in order of id, each by the schema"]],
  },
  {
    line: "load: the least busy copy, ties by name, and what is under way here counts once",
    proofs: [
      [ROUTING, "least in flight"],
      [ROUTING, "ties go by name"],
      [ROUTING, "own open requests count, but not twice once the neuron has reported them"],
    ],
  },
  {
    line: "servability: a copy that cannot serve is passed over, and health tells of it",
    proofs: [
      [ROUTING, "a copy that cannot serve is skipped"],
      [OPERATIONS, "/v1/models, /health, /version and /fleet"],
    ],
  },
  {
    line: "feasibility: where it would fit nobody answers 503; nowhere ever 404",
    proofs: [
      [ROUTING, "the one that could hold it does not answer"],
      [ROUTING, "a model larger than any machine is none that will ever fit"],
    ],
  },
  {
    line: "eviction: who may go, by class and age, both ways; never one that is declared or at work",
    proofs: [
      [SCHEDULER, "asked in turn, each is loaded in the other's place, both ways"],
      [SCHEDULER, "a lower class to a higher one, and never the other way"],
      [SCHEDULER, "not what an apply has loaded, nor a declared model: the request is told so at once"],
      [PLACES, "in the place of an idle guest"],
      [PLACES, "pinned"],
    ],
  },
  {
    line: "metrics: counters and histograms of requests, streamed or not, without labels that clients invent",
    proofs: [[OPERATIONS, "the exposition has true figures and no labels that clients invent"]],
  },
  {
    line: "usage: beside the answer, the last word counts, and no word is no usage",
    proofs: [
      [
        "gateway/relay/relay-answer.property.ts",
        "what a neuron tells of the cost is known, and nothing of it reaches the client",
      ],
      [
        "gateway/relay/relay-answer.property.ts",
        "a usage that is announced and does not come holds up nobody for long",
      ],
    ],
  },
];

export const LEFT_OUT: readonly LeftOutLine[] = [
  { line: "images", because: "no engine of this version makes any, and no route takes them" },
  {
    line: "capabilities of models that are not loaded, asked of neurons",
    because: "the fleet files declare them, and neurons tell those of what is loaded",
  },
  {
    line: "source prefixes of ids, loopback addresses rewritten",
    because: "ids are as declared, and neurons are called at their declared addresses",
  },
  {
    line: "a chain to an authority of another operator",
    because: "keys are those of the fleet files, and the ledger is the fleet's own",
  },
];
