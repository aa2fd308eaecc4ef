import { expect, test } from "vitest";
import { judgeFleet, type FleetFacts, type ServerAnswer } from "../../src/doctor/judge-fleet.ts";

const answered = (changes: Partial<ServerAnswer & { kind: "answered" }> = {}): ServerAnswer => ({
  kind: "answered",
  version: "1.2.0",
  skewMs: 200,
  refusal: null,
  ...changes,
});
const silent: ServerAnswer = {
  kind: "silent",
  trouble: { message: "nothing listens there", next: "start it" },
};
const keys = { declared: 0, admins: 0, allowAnonymous: false, isReachable: false };

const sound: FleetFacts = {
  fleet: "home",
  neurons: [{ name: "beast", endpoint: "http://beast:13131", answer: answered() }],
  gateway: { url: "http://127.0.0.1:31313", answer: answered() },
  keys,
  hasApiKey: false,
};
const beast = (answer: ServerAnswer): Partial<FleetFacts> => ({
  neurons: [{ name: "beast", endpoint: "http://beast:13131", answer }],
});
const refusal = { message: "asks for a token", next: "send one" };

const CASES: readonly (readonly [what: string, changes: Partial<FleetFacts>, found: readonly string[]])[] = [
  ["nothing is wrong", {}, []],
  ["a neuron is silent", beast(silent), ["problem neuron beast: start it"]],
  ["a neuron does not take the token", beast(answered({ refusal })), ["problem neuron beast: send one"]],
  [
    "another version runs there",
    beast(answered({ version: "1.1.0" })),
    ["warning version beast: neighbouring versions can talk; bring all machines to the same one"],
  ],
  [
    "a clock is ahead",
    beast(answered({ skewMs: 5000 })),
    ["warning clock beast: let both follow a time server: timedatectl set-ntp true"],
  ],
  [
    "a clock is far behind",
    beast(answered({ skewMs: -90_000 })),
    ["problem clock beast: let both follow a time server: timedatectl set-ntp true"],
  ],
  ["no clock is said", beast(answered({ skewMs: null })), []],
  [
    "the gateway is silent",
    { gateway: { url: "http://127.0.0.1:31313", answer: silent } },
    ["problem gateway gateway: start it"],
  ],
  [
    "no keys, beyond this machine",
    { keys: { ...keys, isReachable: true } },
    ["problem gateway-keys : cortex key create NAME, or `allow_anonymous = true` in [gateway]"],
  ],
  [
    "no keys, and everybody is welcome",
    { keys: { ...keys, isReachable: true, allowAnonymous: true } },
    ["warning gateway-keys : cortex key create NAME"],
  ],
  [
    "keys without an admin",
    { keys: { ...keys, declared: 2 } },
    ["warning gateway-keys : cortex key create NAME --admin"],
  ],
  ["keys with an admin", { keys: { ...keys, declared: 2, admins: 1 }, hasApiKey: true }, []],
];

test.each(CASES)("%s", (_what, changes, found) => {
  const unwell = judgeFleet({ ...sound, ...changes }, "1.2.0").filter(
    ({ status }) => status === "problem" || status === "warning",
  );
  expect(
    unwell.map(({ status, check, subject, mend }) => `${status} ${check} ${subject}: ${mend ?? ""}`),
  ).toEqual(found);
});
