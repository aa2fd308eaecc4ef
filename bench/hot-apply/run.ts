import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import { shippedModelsDirectory } from "../../src/platform/package-paths.ts";
import { runCortex } from "../../test/support/cortex-process.ts";
import { commitFleet } from "../../test/support/fleet/fleet-on-disk.ts";
import { applyFleet, sourceOf, startFleet } from "../../test/support/fleet/running-fleet.ts";
import { machineLine } from "../support/report.ts";
import { StreamingClients, type Watched } from "./streaming-client.ts";

/*
 * Clients stream while applies move, replace, shrink and unload the models that they use: real neurons, gateway, engine and
 * command line as processes of their own. No request may fail. The bar for gaps is what the same clients see when nobody applies.
 */

const { values } = parseArgs({
  options: {
    clients: { type: "string", default: "64" },
    tokens: { type: "string", default: "32" },
    "quiet-secs": { type: "string", default: "10" },
  },
});

const modelPath = `${shippedModelsDirectory()}cortex-demo.gguf`;

interface Block {
  readonly id: string;
  readonly on: readonly string[];
  readonly context?: number;
}

const textOf = (blocks: readonly Block[]): string =>
  blocks
    .map(
      ({ id, on, context = 512 }) =>
        `[[models]]\nid = "${id}"\nsource = "${sourceOf(modelPath)}"\nreplicas = ${on.length}\ncontext = ${context}\nparallel = 8\npinned_on = [${on.map((name) => `"${name}"`).join(", ")}]\n`,
    )
    .join("\n");

const mover = (on: string): Block => ({ id: "mover", on: [on] });

/** Each is the fleet after it. */
const STEPS: readonly { readonly name: string; readonly blocks: readonly Block[] }[] = [
  {
    name: "move one model to the other machine",
    blocks: [mover("b"), { id: "twins", on: ["a", "b"] }, { id: "idle", on: ["a"] }],
  },
  {
    name: "replace both copies of the other, one after the other",
    blocks: [mover("b"), { id: "twins", on: ["a", "b"], context: 1024 }, { id: "idle", on: ["a"] }],
  },
  {
    name: "take one of its copies away, and a model that nobody uses",
    blocks: [mover("b"), { id: "twins", on: ["a"], context: 1024 }],
  },
  {
    name: "move both to where the other was",
    blocks: [mover("a"), { id: "twins", on: ["b"], context: 1024 }],
  },
];

const FIRST = textOf([mover("a"), { id: "twins", on: ["a", "b"] }, { id: "idle", on: ["a"] }]);

await using fleet = await startFleet({ neuronNames: ["a", "b"], modelPath, models: FIRST });
await applyFleet(fleet);
const before = await readFile(join(fleet.directory, "fleet.toml"), "utf8");
// What the neurons write meanwhile is no part of the fleet's files.
await writeFile(join(fleet.directory, ".gitignore"), ".data\n");
const clients = new StreamingClients(fleet.gatewayUrl, Number(values.tokens));
clients.start(Number(values.clients), ["mover", "twins"]);
console.log(`${values.clients} clients, ${values.tokens} tokens an answer; ${machineLine()}`);
console.log(`${"".padEnd(58)}    secs  answers   failed  gap p99  longest ms  first token longest ms`);

await delay(3000);
clients.take();
await delay(Number(values["quiet-secs"]) * 1000);
tell("nobody applies", Number(values["quiet-secs"]), clients.take());

const failures: string[] = [];
for (const { name, blocks } of STEPS) {
  await commitFleet(
    fleet.directory,
    before.replace(FIRST, () => textOf(blocks)),
  );
  const beganMs = performance.now();
  const applied = await runCortex(["apply", "--config", fleet.directory, "--yes", "--max-unload", "100"]);
  if (applied.code !== 0)
    failures.push(`${name}: apply ended with ${applied.code}\n${applied.stdout}${applied.stderr}`);
  // Whatever is still routed by an old view is answered within this time.
  await delay(1000);
  const watched = clients.take();
  tell(name, (performance.now() - beganMs) / 1000, watched);
  failures.push(...watched.failures);
}
await clients.stop();
failures.push(...clients.take().failures);
for (const line of failures.slice(0, 20)) console.log(line);
console.log(`failed requests: ${failures.length}`);
process.exitCode = failures.length === 0 ? 0 : 1;

// oxlint-disable-next-line max-params -- one row of the table
function tell(
  name: string,
  secs: number,
  { answers, failures: failed, gapsMs, firstTokenMs }: Watched,
): void {
  const sorted = gapsMs.toSorted((left, right) => left - right);
  const p99 = sorted[Math.floor(sorted.length * 0.99)] ?? 0;
  const cells = [secs.toFixed(1), answers, failed.length, p99.toFixed(0), (sorted.at(-1) ?? 0).toFixed(0)];
  const first = Math.max(0, ...firstTokenMs).toFixed(0);
  console.log(
    `${name.padEnd(58)} ${cells.map((cell, at) => String(cell).padStart(at === 4 ? 11 : 7)).join("  ")}  ${first.padStart(22)}`,
  );
}
