import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import { printImportNotes } from "../../../src/cli/view/import-view.ts";
import { temporaryDirectory } from "../../support/fleet/fleet-on-disk.ts";
import { failureOf, importOf } from "./import-of.ts";

const FIXTURES = join(import.meta.dirname, "../../fixtures/imports");

test.each([
  ["litellm", "litellm/config.yaml"],
  ["localai", "localai"],
  ["ollama", "ollama"],
])("%s: the fleet files and the list of what was left behind are as reviewed", async (name, path) => {
  const result = await importOf({ path: join(FIXTURES, path) });
  expect(result.from).toBe(name);
  for (const file of result.files) {
    await expect(file.text).toMatchFileSnapshot(join(FIXTURES, name, `expected-${file.path}.txt`));
  }
  const report = printImportNotes(result.not_carried, result).replaceAll(`${FIXTURES}/`, "");
  await expect(`${report}\n`).toMatchFileSnapshot(join(FIXTURES, name, "expected-report.txt"));
  expect(result.diagnostics.filter(({ severity }) => severity === "error")).toEqual([]);
  expect(JSON.stringify(result)).not.toContain("canary");
});

async function filled(directory: string, files: Readonly<Record<string, string>>): Promise<void> {
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(directory, path)), { recursive: true });
    await writeFile(join(directory, path), text);
  }
}

test("LM Studio's models folder: a repository is a model, shards are one, projectors are none", async () => {
  await using directory = await temporaryDirectory();
  await filled(directory.path, {
    "lmstudio-community/Qwen3-8B-GGUF/Qwen3-8B-Q4_K_M.gguf": "",
    "lmstudio-community/Qwen3-8B-GGUF/mmproj-Qwen3-8B-F16.gguf": "",
    "unsloth/Big-GGUF/Big-Q6_K-00001-of-00002.gguf": "",
    "unsloth/Big-GGUF/Big-Q6_K-00002-of-00002.gguf": "",
    "unsloth/Big-GGUF/Big-Q4_K_M.gguf": "",
    "unsloth/Big-GGUF/README.md": "",
    "stray.gguf": "",
  });
  const result = await importOf({ path: directory.path });
  expect(result.from).toBe("lm-studio");
  const text = result.files[1]?.text ?? "";
  const written = [...text.matchAll(/^id = "(.*)"\nsource = "file:(.*)"$/gm)].map(([, id, source]) => [
    id,
    source?.replace(`${directory.path}/`, ""),
  ]);
  expect(written).toEqual([
    ["lmstudio-community/Qwen3-8B-GGUF", "lmstudio-community/Qwen3-8B-GGUF/Qwen3-8B-Q4_K_M.gguf"],
    ["unsloth/Big-GGUF@Big-Q4_K_M", "unsloth/Big-GGUF/Big-Q4_K_M.gguf"],
    ["unsloth/Big-GGUF@Big-Q6_K", "unsloth/Big-GGUF/Big-Q6_K-00001-of-00002.gguf"],
  ]);
  expect(result.not_carried).toMatchObject([{ what: "mmproj-Qwen3-8B-F16.gguf" }]);
  expect(result.diagnostics.filter(({ severity }) => severity === "error")).toEqual([]);
});

/** An Ollama on a real socket: what `ollama list` and `ollama show --modelfile` ask for. */
async function runningOllama(modelfiles: Readonly<Record<string, string>>) {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      if (request.url === "/api/tags") {
        response.end(JSON.stringify({ models: Object.keys(modelfiles).map((name) => ({ name, size: 1 })) }));
        return;
      }
      const body = Buffer.concat(chunks).toString("utf8");
      const asked = JSON.parse(body === "" ? "{}" : body) as { readonly model?: string };
      const modelfile = modelfiles[asked.model ?? ""];
      response.statusCode = modelfile === undefined ? 404 : 200;
      response.end(JSON.stringify({ modelfile, details: {} }));
    });
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: () =>
      new Promise<void>((closed) => {
        server.close(() => {
          closed();
        });
        server.closeAllConnections();
      }),
  };
}

test("a running Ollama is asked for its models; their files are pinned by their digest", async () => {
  const digest = "ab".repeat(32);
  await using ollama = await runningOllama({
    "qwen3:latest": `FROM /var/lib/ollama/blobs/sha256-${digest}\nPARAMETER num_ctx 4096\n`,
    "qwen3:0.6b": "FROM /models/q.gguf\n",
    "cloud:latest": "FROM registry.ollama.ai/library/cloud:latest\n",
  });
  const result = await importOf({ path: `${ollama.url}/` });
  expect(result.from).toBe("ollama");
  const text = result.files[1]?.text ?? "";
  expect(text).toContain(`id = "qwen3"\nsource = "file:/var/lib/ollama/blobs/sha256-${digest}"`);
  expect(text).toContain(`sha256 = "${digest}"\ncontext = 4096`);
  expect(text).toContain('id = "qwen3:0.6b"\nsource = "file:/models/q.gguf"');
  expect(result.not_carried).toMatchObject([{ lost_model: "cloud" }]);
  expect(result.diagnostics.filter(({ severity }) => severity === "error")).toEqual([]);
});

test("a server that is not there, or no Ollama, is said to be", async () => {
  expect(await failureOf(importOf({ path: "http://127.0.0.1:1" }))).toMatch(
    /^upstream_connection_error: http:\/\/127\.0\.0\.1:1 cannot be read as an Ollama server/,
  );
  await using other = await runningOllama({ x: "" });
  const failure = await failureOf(importOf({ path: `${other.url}/v1`, from: "ollama" }));
  expect(failure).toMatch(/cannot be read as an Ollama server/);
});

test.each([
  ["name: x\nversion: '1'\nrouting: {}\napi: {}\nmodels: { capability_patterns: {} }\n", "a profile of olla"],
  ["server: {}\nproxy: {}\ndiscovery: { static: { endpoints: [] } }\n", "olla's configuration"],
  ["services: {}\n", "a file of Docker Compose"],
  ["apiVersion: v1\nkind: ConfigMap\n", "an object of Kubernetes"],
])("a file of the wrong kind is named for what it is: %j", async (text, kind) => {
  await using directory = await temporaryDirectory();
  const path = join(directory.path, "config.yaml");
  await writeFile(path, text);
  expect(await failureOf(importOf({ path }))).toMatch(
    `fleet_invalid: ${path} is ${kind} -> cortex import reads`,
  );
  expect(await failureOf(importOf({ path, from: "llama-swap" }))).toContain(`is ${kind}`);
});

test("asked for one system, another system's file is named for what it is", async () => {
  const path = join(FIXTURES, "litellm/config.yaml");
  expect(await failureOf(importOf({ path, from: "llama-swap" }))).toContain("is LiteLLM's config.yaml");
});

test("LiteLLM: an engine is reached beside its neuron, whatever its machine is called", async () => {
  await using directory = await temporaryDirectory();
  const path = join(directory.path, "config.yaml");
  const entry = "{ model_name: m, litellm_params: { model: openai/m, api_base: 'http://h:8000/v1' } }";
  await writeFile(path, `model_list: [${entry}]\n`);
  const { files } = await importOf({ path });
  expect(files[1]?.text).toContain('endpoint = "http://127.0.0.1:8000"');
});

test("helexa's files under other names are told by their content", async () => {
  await using directory = await temporaryDirectory();
  await filled(directory.path, {
    "cortex.example.toml": '[[neurons]]\nname = "beast"\nendpoint = "http://beast:13131"\n',
    "models.example.toml": '[[models]]\nid = "a/b"\nquant = "Q4_K_M"\n',
    "neuron.example.toml": '[[default_models]]\nmodel_id = "a/b"\n',
  });
  const result = await importOf({ path: directory.path });
  expect([result.from, result.neurons, result.models]).toEqual(["helexa", 1, 1]);
  await rm(join(directory.path, "cortex.example.toml"));
  await writeFile(join(directory.path, "fleet.toml"), '[fleet]\nname = "home"\n[[neurons]]\nname = "n"\n');
  const again = await importOf({ path: directory.path });
  expect(again.neurons).toBe(0);
});
