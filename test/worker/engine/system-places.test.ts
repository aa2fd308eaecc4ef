import { describe, expect, test } from "vitest";
import type { ChatMessage } from "../../../src/protocol/openai/chat.ts";
import { createChatPromptRenderer } from "../../../src/worker/engine/render-chat-prompt.ts";
import {
  EVERYWHERE,
  findSystemPlaces,
  placeSystem,
  type PlacedMessage,
  type SystemPlaces,
} from "../../../src/worker/engine/system-places.ts";
import { FAMILY_TEMPLATES } from "../../support/worker/chat-templates.ts";
import { controlsOf } from "../../support/worker/control-texts.ts";

const s = (content: string): PlacedMessage => ({ role: "system", content });
const u = (content: string): PlacedMessage => ({ role: "user", content });
const a = (content: string): PlacedMessage => ({ role: "assistant", content });
const t = (content: string): PlacedMessage => ({ role: "tool", content });

const FIRST_ONLY: SystemPlaces = { first: true, several: false, later: false };
const NOWHERE: SystemPlaces = { first: false, several: false, later: false };

describe("where a template takes no system message", () => {
  test.each<{
    readonly what: string;
    readonly places: SystemPlaces;
    readonly given: readonly PlacedMessage[];
    readonly placed: readonly PlacedMessage[];
  }>([
    {
      what: "two at the beginning are one",
      places: FIRST_ONLY,
      given: [s("1"), { role: "developer", content: "2" }, u("q")],
      placed: [s("1\n\n2"), u("q")],
    },
    {
      what: "one in the middle begins the user's next turn",
      places: FIRST_ONLY,
      given: [s("1"), u("q"), a("b"), s("2"), u("c")],
      placed: [s("1"), u("q"), a("b"), u("2\n\nc")],
    },
    {
      what: "two in the middle keep their order",
      places: FIRST_ONLY,
      given: [u("q"), a("b"), s("2"), s("3"), u("c")],
      placed: [u("q"), a("b"), u("2\n\n3\n\nc")],
    },
    {
      what: "one behind a question ends it, so that turns go on taking turns",
      places: FIRST_ONLY,
      given: [u("q"), s("2"), a("b"), u("c")],
      placed: [u("q\n\n2"), a("b"), u("c")],
    },
    {
      what: "one at the end, behind a question",
      places: FIRST_ONLY,
      given: [s("1"), u("q"), s("2")],
      placed: [s("1"), u("q\n\n2")],
    },
    {
      what: "one at the end, behind an answer, is a turn of the user's",
      places: FIRST_ONLY,
      given: [u("q"), a("b"), s("2")],
      placed: [u("q"), a("b"), u("2")],
    },
    {
      what: "one behind the result of a tool does not become a part of it",
      places: FIRST_ONLY,
      given: [u("q"), a("call"), t("result"), s("2"), a("b")],
      placed: [u("q"), a("call"), t("result"), u("2"), a("b")],
    },
    {
      what: "one at the beginning begins the first question where there is no place at all",
      places: NOWHERE,
      given: [s("1"), s("2"), u("q"), a("b")],
      placed: [u("1\n\n2\n\nq"), a("b")],
    },
    {
      what: "alone, it is a question where there is no place at all",
      places: NOWHERE,
      given: [s("1")],
      placed: [u("1")],
    },
    {
      what: "the first has no place and later ones have",
      places: { first: false, several: false, later: true },
      given: [s("1"), u("q"), s("2"), u("c")],
      placed: [u("1\n\nq"), s("2"), u("c")],
    },
  ])("$what", ({ places, given, placed }) => {
    expect(placeSystem(given, places)).toEqual(placed);
  });
});

test("where a template takes everything, nothing is touched", () => {
  const given = [s("1"), s("2"), u("q"), s("3"), a("b"), s("4")];
  const placed = placeSystem(given, EVERYWHERE);
  expect(placed.every((message, at) => message === given[at])).toBe(true);
  expect(placed).toHaveLength(given.length);
});

const RAISES = `{% for m in messages %}{% if m.role == 'system' and not loop.first %}{{ raise_exception('System message must be at the beginning.') }}{% endif %}{{ '<' + m.role + '>' + m.content }}{% endfor %}`;
const NO_SYSTEM = `{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Conversation roles must alternate') }}{% endif %}{{ '<' + m.role + '>' + m.content }}{% endfor %}`;
const DROPS = `{% if messages[0].role == 'system' %}{{ '<system>' + messages[0].content }}{% endif %}{% for m in messages %}{% if m.role != 'system' %}{{ '<' + m.role + '>' + m.content }}{% endif %}{% endfor %}`;
const GATHERS = `{% for m in messages if m.role == 'system' %}{{ '<system>' + m.content }}{% endfor %}{% for m in messages if m.role != 'system' %}{{ '<' + m.role + '>' + m.content }}{% endfor %}`;

const rendererOf = (source: string) =>
  createChatPromptRenderer({
    source,
    bosText: "<s>",
    eosText: "</s>",
    controls: controlsOf(["<s>", "</s>"]),
  });

const CONVERSATION: readonly ChatMessage[] = [
  { role: "system", content: "one" },
  { role: "system", content: "two" },
  { role: "user", content: "question" },
  { role: "assistant", content: "answer" },
  { role: "developer", content: "three" },
  { role: "user", content: [{ type: "text", text: "again" }] },
];

describe("templates as they are found", () => {
  test.each([
    [
      "raises on a later one",
      RAISES,
      "<system>one\n\ntwo<user>question<assistant>answer<user>three\n\nagain",
    ],
    [
      "knows none, and demands turns",
      NO_SYSTEM,
      "<user>one\n\ntwo\n\nquestion<assistant>answer<user>three\n\nagain",
    ],
    ["leaves later ones out", DROPS, "<system>one\n\ntwo<user>question<assistant>answer<user>three\n\nagain"],
    [
      "puts them all first",
      GATHERS,
      "<system>one<system>two<user>question<assistant>answer<user>three\n\nagain",
    ],
  ])("one that %s", (_what, source, expected) => {
    expect(rendererOf(source).render({ messages: CONVERSATION, tools: [], variables: {} }).text).toBe(
      expected,
    );
  });

  test.each(Object.entries(FAMILY_TEMPLATES))(
    "%s: all that was said stands in the prompt, in its order",
    (_name, family) => {
      const [bosText = "", eosText = ""] = family.controls;
      const renderer = createChatPromptRenderer({
        source: family.source,
        bosText,
        eosText,
        controls: controlsOf(family.controls),
      });
      const { text } = renderer.render({ messages: CONVERSATION, tools: [], variables: {} });
      const places = ["one", "two", "question", "answer", "three", "again"].map((word) => text.indexOf(word));
      expect(places).not.toContain(-1);
      expect(places).toEqual(places.toSorted((left, right) => left - right));
    },
  );
});

const fails = (): string => {
  throw new Error("it needs more");
};

test("a template that cannot be tried is left alone", () => {
  expect(findSystemPlaces(fails)).toBe(EVERYWHERE);
});
