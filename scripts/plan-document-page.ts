import { z } from "zod";
import { PLAN_FORMAT_VERSION, planDocumentSchema } from "../src/protocol/plan-document.ts";

interface Schema {
  readonly description?: string;
  readonly type?: string | readonly string[];
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly Schema[];
  readonly items?: Schema;
  readonly properties?: Readonly<Record<string, Schema>>;
}

/** What a neuron is asked to load is the neuron's own protocol. */
const NOT_ENTERED: ReadonlySet<string> = new Set(["changes[].spec"]);

/** docs/plan-document.md: every field of the schema with its type and meaning. Throws when one has no meaning. */
export function planDocumentPage(): string {
  const rows = fieldsOf(z.toJSONSchema(planDocumentSchema, { io: "output" }) as Schema, "");
  const table = rows.map(({ path, type, meaning }) => {
    if (meaning === undefined) throw new Error(`the schema of the plan document does not describe ${path}`);
    return `| \`${path}\` | ${type} | ${meaning} |`;
  });
  return `${INTRODUCTION}\n| field | type | meaning |\n|---|---|---|\n${table.join("\n")}\n`;
}

interface Row {
  readonly path: string;
  readonly type: string;
  readonly meaning: string | undefined;
}

function fieldsOf(schema: Schema, path: string): Row[] {
  if (schema.anyOf !== undefined) return schema.anyOf.flatMap((option) => fieldsOf(option, path));
  if (schema.items !== undefined) return fieldsOf(schema.items, `${path}[]`);
  return Object.entries(schema.properties ?? {}).flatMap(([key, inner]) => {
    const at = path === "" ? key : `${path}.${key}`;
    const below = NOT_ENTERED.has(at) ? [] : fieldsOf(inner, at);
    return [{ path: at, type: typeOf(inner), meaning: inner.description }, ...below];
  });
}

function typeOf(schema: Schema): string {
  if (schema.const !== undefined) return `\`${JSON.stringify(schema.const)}\``;
  if (schema.enum !== undefined) return schema.enum.map((value) => `\`${String(value)}\``).join(", ");
  if (schema.anyOf !== undefined) return schema.anyOf.map(typeOf).join(" or ");
  if (schema.items !== undefined) return `list of ${typeOf(schema.items)}`;
  const { type = "anything" } = schema;
  return (typeof type === "string" ? [type] : type).join(" or ");
}

const INTRODUCTION = `# The plan document

Generated from \`src/protocol/plan-document.ts\` by \`npm run docs\`.

\`cortex plan --json\` prints it, \`--out FILE\` saves it, \`cortex apply FILE\` carries it out, \`cortex plan verify FILE\` checks it.
It holds no tokens and no passwords; it does hold the neurons' endpoints, because apply needs them.

## Exit codes of \`cortex plan\`

| code | without \`--detailed-exitcode\` | with it |
|---|---|---|
| 0 | a plan was made | a plan was made, and the fleet is as declared |
| 1 | no plan could be made, or it must not be applied (\`errored\`) | the same |
| 2 | never | something would change, or something declared is left open; a setting that differs counts as a change |

\`cortex plan verify\` exits 0 when the plan is sound and 1 when anything is wrong with it.
\`cortex apply\` exits 0 when all is done and as declared, else 1; [errors.md](errors.md) has the rest.

## Symbols of the text

| symbol | meaning |
|---|---|
| \`+\` | a copy is loaded |
| \`-\` | a copy is unloaded |
| \`~\` | a copy is unloaded and loaded again with other settings, on the same devices |
| \`!\` | a model is down meanwhile, a copy has no place, or a neuron does not answer |
| \`?\` | a copy may be on a neuron that does not answer |
| \`~8.0 GiB\` | an estimate; a measured figure has no sign |

The legend above the changes lists only what occurs. The last line is for scripts and changes with notice only:
\`Plan: 2 to load, 1 to unload, 0 to replace, 4 unchanged, 1 unplaced, 1 unknown, 1 deferred, 2 declared differences.\` (the
last four where there are any).

## Settings that no neuron is asked for

A plan also shows what the gateway acts on: aliases that move, addresses, keys (never their hashes), limits, prices, classes,
models on demand. With \`--base\` the files are compared with the base, every setting of them; without it with what the running
gateway says in \`GET /fleet\` that it serves (\`--gateway URL\`; by default where the files let it listen, on this machine). Each
block that differs is a row of \`declaration\` with its consequence in words; what opens something (\`exposes\`) comes first. Apply does
nothing for these rows: the gateway acts on them when it reads the files again. What the environment of the gateway's machine
overrides is left out and named. A plan on a snapshot without \`--base\` says nothing of them, nor does one where no gateway answers.

## What to rely on

- \`format_version\` is ${PLAN_FORMAT_VERSION}. It is raised when a reader of the old form would be misled; new fields come without notice, so ignore
  what you do not know. Sizes ending in \`_mb\` are whole MiB, times end in \`_secs\` or \`_ms\`.
- The same files and the same observation give the same bytes, whatever the order in which neurons answered.
  \`--prove\` asks a solver as well, which is limited by a count of its steps too, with a limit of time far behind it.
- \`changes\` are in an order that can be carried out, and \`actions\` of one change too: whoever looks for \`"unload"\` finds everything that
  takes a copy down.
- A plan is bound to what it was made from: the commit, the digest of the parsed files, and for each neuron a digest of its hardware, its
  models and its generation. Apply looks at each neuron before each change. It refuses those on
  which something moved that the plan is about, naming the fact: their hardware, a model that the plan changes there, or memory
  that a row needs and another model has taken. The others go on, and models that clients had loaded meanwhile are nothing to
  refuse for. What the plan's own changes bring about is no such fact, so an apply that was cut off can be run again.
- A change that fails holds up what depends on it and nothing else, at this apply and at the next.
- Apply refuses a document that \`cortex plan verify\` finds fault with: a plan that was edited is none.
- \`detail\`, \`reason\`, \`summary\`, \`hint\`, \`text\` are for people and may be reworded at any time. \`action_reason\`, \`rule\`, \`check\`, \`layer\`,
  \`because\` and remedy \`kind\`s are stable names.

## How changes are ordered

A copy leaves only once its successor is ready, wherever memory allows (make before break). No device is over its memory after any
change, also when changes of other neurons come earlier or later than predicted, and also when some fail: a change depends on
the very changes that free its memory. Two models that change places on full devices wait for each other; such a ring is opened by the
first of these that is possible:

1. one copy is parked on a third device that its block allows (\`parked\`, then \`parking_ended\`);
2. break before make: the copy of the lowest class that is used least leaves first, and the row says so, with its \`downtime\` and
   what it would take to avoid it; a copy with \`protect = true\` only where its own settings change;
3. the changes of the ring are \`deferred\`.

## Checks of \`cortex plan verify\`

It shares the schemas with the planner and not a line of code. It has to believe what stands in the files alone (\`declared\`, \`drain\`,
endpoints, limits, the revision), estimates, and the words; \`test/controller/verify/verify-every-field.test.ts\` keeps the list.

| check | what must hold |
|---|---|
| \`digest\` | the document is as it was written |
| \`structure\` | ids, kinds, actions, devices and settings of a row fit together |
| \`order\` | a row depends on earlier rows only, and waves agree |
| \`flags\` | \`applyable\`, \`complete\` and \`errored\` follow from the rest |
| \`snapshot\` | with \`--against\`: neurons, models, devices, requests and digests are as recorded |
| \`capacity\` | no device is over its memory after any row, nor when rows that may fail do fail |
| \`memory_figures\` | before, peak and after of every device and row follow from what is loaded and what the rows do; models on several devices are split as their neuron will |
| \`one_copy\` | no neuron gets a second copy, and only what is there is taken down |
| \`untouchable\` | no row is on a neuron that did not answer, or takes down what a person loaded by hand, what another fleet had loaded, or what is said to be left alone |
| \`placement_rules\` | pins, drains, \`min_devices\`, \`min_device_vram_mb\` and harness are respected |
| \`settings\` | what is loaded has the settings of its block |
| \`protect\` | rows that take down a protected copy say so |
| \`accounting\` | every declared copy stands, is missing, unknown or deferred; assignments, reasons, counts and the distance from the best placement agree with the rows |
| \`availability\` | a model that serves is never without a copy, unless a row says so; downtimes end where they are said to |
| \`schedule\` | waves, unknown steps, critical path, confidence and predicted time follow from the rows |

## Fields
`;
