import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { printImportNotes } from "../../../src/cli/view/import-view.ts";
import { writeImport } from "../../../src/controller/adopt/io/import-fleet.ts";
import { loadFleet } from "../../../src/repository/io/load-fleet.ts";
import { observeFleet } from "../../../src/controller/observe/io/observe-fleet.ts";
import { modelSpecSchema } from "../../../src/protocol/neuron-api.ts";
import { specHash } from "../../../src/protocol/spec-hash.ts";
import { FakeNeuron, residentModel } from "../../support/neuron/fake-neuron.ts";
import { temporaryDirectory } from "../../support/fleet/fleet-on-disk.ts";
import { ManualClock } from "../../support/manual-clock.ts";
import { failureOf, importOf } from "./import-of.ts";
import { plan, rowsOf } from "../observed-fleet-builders.ts";

const FIXTURES = join(import.meta.dirname, "../../fixtures/imports");
const clock = new ManualClock();

describe("files of other systems", () => {
  test.each([
    ["helexa", "helexa"],
    ["llama-swap", "llama-swap/config.yaml"],
  ])("%s: the fleet files and the list of what was left behind are as reviewed", async (name, path) => {
    const result = await importOf({ path: join(FIXTURES, path) });
    expect(result.from).toBe(name);
    for (const file of result.files) {
      await expect(file.text).toMatchFileSnapshot(join(FIXTURES, name, `expected-${file.path}.txt`));
    }
    const report = printImportNotes(result.not_carried, result).replaceAll(`${FIXTURES}/`, "");
    await expect(`${report}\n`).toMatchFileSnapshot(join(FIXTURES, name, "expected-report.txt"));
    expect(result.diagnostics.filter(({ severity }) => severity === "error")).toEqual([]);
  });

  test.each(["helexa", "llama-swap/config.yaml"])("no secret of %s comes along", async (path) => {
    const result = await importOf({ path: join(FIXTURES, path) });
    expect(JSON.stringify(result)).not.toContain("canary");
  });

  test("the machine that llama-swap ran on can be named", async () => {
    const neurons = [{ name: "beast", endpoint: "http://beast:13131" }];
    const { files } = await importOf({ path: join(FIXTURES, "llama-swap"), from: "llama-swap", neurons });
    expect(files[0]?.text).toContain('[[neurons]]\nname = "beast"\nendpoint = "http://beast:13131"\n');
  });

  test("whatever llama-swap says and fleet files cannot is listed, nothing silently left away", async () => {
    await using directory = await temporaryDirectory();
    const path = join(directory.path, "config.yaml");
    await writeFile(
      path,
      `models:
  a: { cmd: "llama-server -m /a.gguf", ttl: 60, aliases: [b, "two words", both] }
  b: { cmd: "llama-server -m \${env.DIR}/b.gguf --port \${PORT}", aliases: [both] }
  c: { ttl: 5 }
hooks: { on_startup: { preload: [a, c] }, on_stop: { run: x } }
apiKeys: [one, one, 7]
`,
    );
    const { not_carried, diagnostics, files } = await importOf({ path });
    expect(not_carried.map(({ line, what, reason }) => `${line} ${what}: ${reason}`)).toEqual([
      expect.stringMatching(/^2 models\.a\.ttl: it is preloaded/),
      expect.stringMatching(/^2 models\.a\.aliases\.1: an alias is a name without spaces/),
      expect.stringMatching(/^3 models\.b\.cmd: `\$\{env\.DIR\}` is known only where llama-swap runs/),
      expect.stringMatching(/^3 models\.b\.cmd: --model /),
      expect.stringMatching(/^4 models\.c: it has no `cmd`/),
      expect.stringMatching(/^6 apiKeys\.1: the same secret/),
      expect.stringMatching(/^6 apiKeys\.2: a key is a text/),
      expect.stringMatching(/^5 hooks\.on_stop: /),
      expect.stringMatching(/^5 hooks\.on_startup\.preload: `c` is not among/),
      expect.stringMatching(/^2 models\.a\.aliases: `b` is already a name of `b`/),
      expect.stringMatching(/^3 models\.b\.aliases: `both` is already a name of `a`/),
    ]);
    expect(diagnostics.filter(({ severity }) => severity === "error")).toEqual([]);
    expect(files[1]?.text).toContain('both = "a"');
  });

  test("whatever helexa says and fleet files cannot is listed, down to single entries", async () => {
    await using directory = await temporaryDirectory();
    await writeFile(
      join(directory.path, "models.toml"),
      `[[models]]
id = "a/b"
quant = "Q4_K_M"
limit = { input = 100 }
capabilities = ["text", 7]
cost = { input = "free", output = 1.0, weird = 2 }
[[models]]
id = "c/d"
quant = "Q4_K_M"
limit = "large"
`,
    );
    await writeFile(
      join(directory.path, "cortex.toml"),
      `neurons = "beast"
[[entitlements.keys]]
key = "s1"
key_id = "ci"
window = { kind = "rolling", seconds = 60 }
`,
    );
    const { not_carried, files } = await importOf({ path: directory.path });
    expect(not_carried.map(({ line, what, reason }) => `${line} ${what}: ${reason}`)).toEqual([
      "1 neurons: is not a list of tables",
      "5 entitlements.keys.window: limits nothing without `hard_cap`",
      "4 models.limit: a limit needs `context`, the tokens of prompt and answer together",
      "6 models.cost.input: is not a number",
      "6 models.cost.weird: cortex has no such setting",
      "5 models.capabilities: holds something that is not text; the texts are carried over",
      "10 models.limit: is not a table",
    ]);
    expect(files[1]?.text).toContain("cost = { output = 1 }");
  });

  test("helexa: what would not validate here is mended or left out, and listed", async () => {
    await using directory = await temporaryDirectory();
    const write = async (path: string, text: string) => {
      await mkdir(dirname(join(directory.path, path)), { recursive: true });
      await writeFile(join(directory.path, path), text);
    };
    const loads = '[[default_models]]\nmodel_id = "a/b"\n';
    await write("beast/neuron.toml", loads);
    await write("benjy/neuron.toml", loads);
    await write(
      "models.toml",
      '[[models]]\nid = "a/b"\nquant = "Q4_K_M"\npinned_on = ["beast"]\n[aliases]\n"two words" = "a/b"\n',
    );
    const neurons = ["beast", "benjy"].map(
      (name) => `[[neurons]]\nname = "${name}"\nendpoint = "http://${name}:13131"\n`,
    );
    const keys = [
      ["one", "s1", ""],
      ["two", "s1", ""],
      ["three", "s3", "hard_cap = 0\n"],
    ].map(([id, secret, more]) => `[[entitlements.keys]]\nkey = "${secret}"\nkey_id = "${id}"\n${more}`);
    await write("cortex.toml", [...neurons, ...keys].join(""));
    const { not_carried, files, diagnostics } = await importOf({ path: directory.path });
    expect(diagnostics.filter(({ severity }) => severity === "error")).toEqual([]);
    const notes = not_carried.map(({ what, reason }) => `${what}: ${reason}`);
    expect(notes).toEqual(
      expect.arrayContaining([
        expect.stringMatching(/^entitlements\.keys\.key: the same secret stands above/),
        expect.stringMatching(/^entitlements\.keys\.hard_cap: a cap of 0 lets nothing through/),
        expect.stringMatching(/^models\.pinned_on: 2 machines load it when they start/),
        expect.stringMatching(/^aliases\.two words: an alias is a name without spaces/),
      ]),
    );
    expect(files.map(({ text }) => text).join("\n")).toMatch(/replicas = 1\n/);
  });

  test("llama-swap in containers: mounts are followed, and what no mount explains is said", async () => {
    await using directory = await temporaryDirectory();
    const path = join(directory.path, "config.yaml");
    const [a, b, c, d] = [
      "-v /srv/a:/models",
      "--volume=/srv/b:/models",
      "--mount type=bind,source=/srv/c,target=/models",
      "-v models:/models -e LLAMA_API_KEY=topsecret42 --env=X=topsecret43",
    ].map(
      (flags) => `{ cmd: "docker run --rm ${flags} ghcr.io/ggml-org/llama.cpp:server -m /models/x.gguf" }`,
    );
    await writeFile(
      path,
      `models:
  a: ${a}
  b: ${b}
  c: ${c}
  d: ${d}
  e: { cmd: "llama-server -m /x.gguf -hft plaintopsecret" }
  f: { cmd: "vllm serve", proxy: "http://user:topsecret44@10.0.0.1:8000" }
`,
    );
    const { not_carried, files } = await importOf({ path: directory.path });
    const text = files.map((file) => file.text).join("\n");
    const sources = [...text.matchAll(/^source = "(.*)"$/gm)].map(([, source]) => source);
    expect(sources).toEqual(
      ["a", "b", "c"]
        .map((name) => `file:/srv/${name}/x.gguf`)
        .concat(["file:/models/x.gguf", "file:/x.gguf"]),
    );
    expect(text).toContain('endpoint = "http://10.0.0.1:8000"');
    expect(JSON.stringify(not_carried) + text).not.toContain("topsecret");
    expect(not_carried.map(({ what, reason }) => `${what}: ${reason}`)).toEqual(
      expect.arrayContaining([
        expect.stringMatching(
          /^models\.d\.cmd: --model \/models\/x\.gguf: no directory of the host is mounted there/,
        ),
        expect.stringMatching(/^models\.f\.proxy: the password stays behind/),
      ]),
    );
  });

  test("llama-swap in containers: a directory that has the same path inside is mounted all the same", async () => {
    await using directory = await temporaryDirectory();
    const command = "docker run -v /models:/models ghcr.io/ggml-org/llama.cpp:server -m /models/x.gguf";
    await writeFile(join(directory.path, "config.yaml"), `models:\n  a: { cmd: "${command}" }\n`);
    const { not_carried, files } = await importOf({ path: directory.path });
    expect(files[1]?.text).toContain('source = "file:/models/x.gguf"');
    expect(not_carried.filter(({ what }) => what.includes("--model"))).toEqual([]);
  });

  test("where nothing can be written, nothing is called a defect", async () => {
    await using directory = await temporaryDirectory();
    const file = join(directory.path, "a-file");
    await writeFile(file, "");
    expect(await failureOf(writeImport(file, [{ path: "fleet.toml", text: "" }]))).toMatch(
      /^usage_error: cannot write to .*a-file: /,
    );
  });

  test("what cannot be read says where and what to do", async () => {
    await using directory = await temporaryDirectory();
    const at = (name: string) => join(directory.path, name);
    await writeFile(at("config.yaml"), 'models:\n  a: [1\n  b: "x\n');
    await writeFile(
      at("bomb.yaml"),
      `a: &a [x]\n${Array.from({ length: 9 }, (_, n) => `k${n}: &k${n} [${"*a, ".repeat(40)}*a]\n`).join("")}`,
    );
    await writeFile(at("cortex.toml"), "[gateway\n");
    expect(await failureOf(importOf({ path: at("config.yaml") }))).toMatch(
      /^fleet_invalid: .*config\.yaml:\d+:\d+: /,
    );
    expect(await failureOf(importOf({ path: at("bomb.yaml") }))).toMatch(/^fleet_invalid: .*bomb\.yaml: /);
    expect(await failureOf(importOf({ path: directory.path }))).toMatch(
      /^fleet_invalid: .*cortex\.toml is not TOML/,
    );
    expect(await failureOf(importOf({ path: at("nowhere") }))).toMatch(
      /^fleet_not_found: .*nowhere cannot be read/,
    );
    await writeFile(at("other.yaml"), "anything: {}\n");
    expect(await failureOf(importOf({ path: at("other.yaml") }))).toMatch(
      /^fleet_invalid: .*other\.yaml has no `models`.* -> name llama-swap's config\.yaml/,
    );
    expect(await failureOf(importOf({}))).toMatch(
      /^usage_error: say what to import -> cortex import DIRECTORY/,
    );
    expect(await failureOf(importOf({ path: at("config.yaml"), from: "helexa" }))).toMatch(/^fleet_invalid/);
  });
});

/** Neurons on real sockets that hold these models. */
async function neuronsWith(...models: (readonly ReturnType<typeof residentModel>[])[]) {
  const stack = new AsyncDisposableStack();
  const neurons = [];
  for (const [index, residents] of models.entries()) {
    const neuron = await FakeNeuron.start({ models: residents });
    stack.defer(() => neuron.stop());
    neurons.push({ name: `n${index}`, endpoint: neuron.url });
  }
  return { neurons, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

describe("the live fleet", () => {
  const spec = modelSpecSchema.parse({
    model_id: "Qwen/Qwen3-8B",
    source: "q.gguf",
    context: 4096,
    parallel: 2,
  });
  const loaded = (id: string, changes: Parameters<typeof residentModel>[1] = {}) =>
    residentModel(id, { spec_hash: specHash(spec), spec, parallel: 2, vram_used_mb: 8200, ...changes });

  test("becomes files over real HTTP, and planning them on the same neurons is empty", async () => {
    const unloading = loaded("gone", { status: "unloading" });
    const onDemand = loaded("asked/for", {
      origin: { kind: "request" },
      spec: modelSpecSchema.parse({ ...spec, model_id: "asked/for" }),
      spec_hash: specHash({ ...spec, model_id: "asked/for" }),
    });
    const ofLab = loaded(spec.model_id, { origin: { kind: "revision", ref: "1234567", fleet: "lab" } });
    await using fleet = await neuronsWith([loaded(spec.model_id), onDemand], [ofLab, unloading]);
    await using directory = await temporaryDirectory();
    const result = await importOf({ neurons: fleet.neurons });
    expect([result.from, result.diagnostics]).toEqual(["live", []]);
    expect(result.not_carried).toEqual([
      { file: "n1", line: null, what: "gone", reason: "it is being unloaded" },
    ]);
    expect(result.files[0]?.text).toContain('takes_over = ["lab"]');
    await writeImport(directory.path, result.files);
    const { fleet: declared } = await loadFleet({ path: directory.path, inherited: {} });
    expect(declared.models).toMatchObject([
      { id: "Qwen/Qwen3-8B", source: "q.gguf", context: 4096, parallel: 2, replicas: 2, vram_mb: 8200 },
      { id: "asked/for", replicas: 0 },
    ]);
    const document = plan(declared, await observeFleet(declared, { clock }));
    expect(rowsOf(document)).toEqual([]);
  });

  test("copies with different settings: the most common ones are declared, the others are named", async () => {
    const other = modelSpecSchema.parse({ ...spec, context: 8192 });
    const odd = loaded(spec.model_id, { spec: other, spec_hash: specHash(other) });
    await using fleet = await neuronsWith([odd], [loaded(spec.model_id)], [loaded(spec.model_id)]);
    const result = await importOf({ neurons: fleet.neurons });
    expect(result.files[1]?.text).toContain("context = 4096");
    expect(result.not_carried).toMatchObject([{ file: "n0", what: "Qwen/Qwen3-8B" }]);
  });

  test("a neuron that does not say its settings: guessed when the hash proves it, else told", async () => {
    const plain = modelSpecSchema.parse({ model_id: "plain", context: 4096, parallel: 4 });
    const proven = residentModel("plain", {
      spec_hash: specHash(plain),
      limit: { context: 4096, output: 10 },
    });
    const unproven = residentModel("odd", { spec_hash: "f".repeat(16) });
    await using fleet = await neuronsWith([proven, unproven]);
    const result = await importOf({ neurons: fleet.neurons });
    expect(result.files[1]?.text).toContain('id = "plain"\n');
    expect(result.files[1]?.text).toContain("context = 4096");
    expect(result.not_carried.map(({ what }) => what)).toEqual(["odd"]);
  });

  test("a neuron that does not answer ends the import: half a fleet is none", async () => {
    await using fleet = await neuronsWith([]);
    const neurons = [...fleet.neurons, { name: "gone", endpoint: "http://127.0.0.1:1" }];
    expect(await failureOf(importOf({ neurons }))).toMatch(
      /^upstream_connection_error: .*gone \(http:\/\/127\.0\.0\.1:1\)/,
    );
    expect(await failureOf(importOf({ from: "live" }))).toMatch(
      /^usage_error: the live fleet is read from its neurons/,
    );
  });
});

test("nothing is written over, and then nothing is written at all", async () => {
  await using directory = await temporaryDirectory();
  await writeFile(join(directory.path, "models.toml"), "mine");
  const files = [
    { path: "fleet.toml", text: "a" },
    { path: "models.toml", text: "b" },
  ];
  expect(await failureOf(writeImport(directory.path, files))).toMatch(
    /already has models\.toml; nothing was written/,
  );
  expect(await readdir(directory.path)).toEqual(["models.toml"]);
  expect(await readFile(join(directory.path, "models.toml"), "utf8")).toBe("mine");
});
