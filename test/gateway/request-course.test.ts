import { expect, test } from "vitest";
import { beginCourse, stepCourse } from "../../src/gateway/request-course.ts";
import {
  again,
  answered,
  broke,
  ended,
  granted,
  queued,
  play,
  refreshed,
  refuse,
  serve,
} from "./course-play.ts";

test.each([
  {
    what: "a replica serves",
    events: [serve("a"), ended({ kind: "completed" })],
    told: ["route", "send a", "completed"],
  },
  { what: "nothing can serve", events: [refuse()], told: ["route", "answer model_not_found"] },
  {
    what: "a load is waited for",
    events: [queued(), granted("a"), ended({ kind: "completed" })],
    told: ["route", "wait", "send a", "completed"],
  },
  {
    what: "nothing can hold it any more while it waits: the router is asked again",
    events: [queued(), again, queued(), again, serve("b")],
    told: ["route", "wait", "route", "wait", "route", "send b"],
  },
  {
    what: "places that come and go for ever",
    events: [queued(), again, queued(), again, queued(), again, queued(), again],
    told: [...Array.from({ length: 4 }, () => ["route", "wait"]).flat(), "answer model_loading"],
  },
  {
    what: "an answer that breaks off is not sent again",
    events: [serve("a"), ended({ kind: "cut", code: "upstream_cut_stream" })],
    told: ["route", "send a", "cut"],
  },
  {
    what: "a refused connection: another replica",
    events: [serve("a"), broke("ECONNREFUSED"), serve("b"), ended({ kind: "completed" })],
    told: [
      "route",
      "send a",
      "route avoiding a",
      "refresh-aside a, count-retry connection_failed, send b",
      "completed",
    ],
  },
  {
    what: "the only replica lost its connection, and answers: tried again, once",
    events: [serve("a"), broke("ECONNRESET"), serve("a"), refreshed(true), serve("a"), broke("ECONNRESET")],
    told: [
      "route",
      "send a",
      "route avoiding a",
      "refresh a",
      "route avoiding a",
      "count-retry connection_failed, send a",
      "answer upstream_connection_error",
    ],
  },
  {
    what: "the only replica is dead: left out",
    events: [serve("a"), broke("ECONNREFUSED"), serve("a"), refreshed(false), refuse("no_healthy_neuron")],
    told: [
      "route",
      "send a",
      "route avoiding a",
      "refresh a",
      "route avoiding a without a",
      "count-retry connection_failed, answer no_healthy_neuron",
    ],
  },
  {
    what: "a crash, and no other replica: the neuron's own answer",
    events: [serve("a"), answered("worker_crashed"), serve("a")],
    told: ["route", "send a", "route avoiding a", "pass on worker_crashed"],
  },
  {
    what: "a crash, and another could be loaded: not for a request that kills its worker",
    events: [serve("a"), answered("worker_crashed"), queued()],
    told: ["route", "send a", "route avoiding a", "pass on worker_crashed"],
  },
  {
    what: "the view was old: loaded anew",
    events: [serve("a"), answered("model_not_found"), refuse(), refreshed(true), queued(), granted("a")],
    told: [
      "route",
      "send a",
      "route avoiding a",
      "refresh a",
      "route avoiding a",
      "count-retry stale_view, wait",
      "send a",
    ],
  },
  {
    what: "an error that is the request's own",
    events: [serve("a"), answered("context_length_exceeded", 400)],
    told: ["route", "send a", "pass on context_length_exceeded"],
  },
  {
    what: "a token that the neuron refuses is no client's fault",
    events: [serve("a"), answered("unauthorized", 401)],
    told: ["route", "send a", "answer upstream_connection_error"],
  },
  {
    what: "a proxy's page instead of an answer: another replica",
    events: [serve("a"), answered(null, 502), serve("b"), ended({ kind: "completed" })],
    told: [
      "route",
      "send a",
      "route avoiding a",
      "refresh-aside a, count-retry foreign_answer, send b",
      "completed",
    ],
  },
  {
    what: "a redirect, and no other replica: never passed on",
    events: [serve("a"), answered(null, 302), serve("a")],
    told: ["route", "send a", "route avoiding a", "answer upstream_connection_error"],
  },
  {
    what: "403 with a code of its own",
    events: [serve("a"), answered("source_forbidden", 403)],
    told: ["route", "send a", "pass on source_forbidden"],
  },
  {
    what: "the client leaves while the neuron is asked again",
    events: [serve("a"), broke("ECONNRESET"), serve("a"), { kind: "request-stopped" as const }],
    told: ["route", "send a", "route avoiding a", "refresh a", "stopped"],
  },
])("$what", ({ events, told }) => {
  expect(play(events)).toEqual(told);
});

test("an event that nobody waits for is a defect that says so", () => {
  const { course } = beginCourse();
  expect(() => stepCourse(course, refreshed(true))).toThrow(
    "neuron-refreshed came to a request that is routing",
  );
});
