import { describe, expect, test } from "vitest";
import { readEngineCommand } from "../../../../src/controller/adopt/llama-swap/engine-command.ts";
import { shellWords } from "../../../../src/controller/adopt/llama-swap/shell-words.ts";

describe("the word that is llama-server is found", () => {
  test.each([
    ["llama-server -m /m/x.gguf -c 4096 -np 2"],
    ["/opt/llama.cpp/build/bin/llama-server-cuda -m /m/x.gguf -c 4096 -np 2"],
    ["/usr/local/bin/ik-llama-server --model /m/x.gguf --ctx-size=4096 --parallel 2"],
    ["ik_llama-server -m /m/x.gguf -c 4096 -np 2"],
    ["nice -n 10 llama-server -m /m/x.gguf -c 4096 -np 2"],
    ["taskset -c 0-7 nice -n 5 /opt/llama-server -m /m/x.gguf -c 4096 -np 2"],
    ["numactl --cpunodebind=0 --membind=0 llama-server -m /m/x.gguf -c 4096 -np 2"],
    ["env CUDA_VISIBLE_DEVICES=0 llama-server -m /m/x.gguf -c 4096 -np 2"],
    ["CUDA_VISIBLE_DEVICES=0 LD_LIBRARY_PATH=/x/llama-server llama-server -m /m/x.gguf -c 4096 -np 2"],
    ["sh -c 'cd /srv && exec llama-server -m /m/x.gguf -c 4096 -np 2; echo done -np 9'"],
    ['bash -lc "nice -n 3 llama-server -m /m/x.gguf -c 4096 -np 2 2>&1 | tee /var/log/llama-server.log"'],
    [`sh -c "bash -c 'llama-server -m /m/x.gguf -c 4096 -np 2'"`],
    ["sudo docker exec box /app/llama-server -m /m/x.gguf -c 4096 -np 2"],
    ["python3 -m llama_cpp.server --model /m/x.gguf --n_ctx 4096 -np 2"],
    ["/opt/llama/server -m /m/x.gguf -c 4096 -np 2"],
    ["./run-model.sh --model /m/x.gguf -c 4096 -np 2"],
  ])("%s", (command) => {
    const read = readEngineCommand(command);
    expect(read).toMatchObject({
      engine: "llama-server",
      source: "file:/m/x.gguf",
      context: 2048,
      parallel: 2,
    });
  });

  test.each([
    ["vllm serve /m/x.gguf --log-file /var/log/llama-server.log --port 8100"],
    ["python -m vllm.entrypoints.openai.api_server --model meta/llama --port 8100"],
    ["koboldcpp.exe --model x.gguf --port 8100"],
    ["whisper-server -m ggml-base.bin --port 8100"],
    ["sd-server -m sd.gguf --port 8100"],
    ["docker run vllm/vllm-openai --model meta/llama --port 8100"],
  ])("and no other engine is taken for it: %s", (command) => {
    expect(readEngineCommand(command)).toMatchObject({ engine: "other", port: 8100 });
  });

  test("on Windows, backslashes are parts of paths", () => {
    const command = String.raw`"C:\Program Files\llama\llama-server.exe" -m D:\models\qwen3-8b.gguf -c 4096 --port 9`;
    expect(shellWords(command).slice(0, 3)).toEqual([
      String.raw`C:\Program Files\llama\llama-server.exe`,
      "-m",
      String.raw`D:\models\qwen3-8b.gguf`,
    ]);
    const read = readEngineCommand(command);
    expect(read).toMatchObject({ engine: "llama-server", source: "qwen3-8b.gguf", context: 4096 });
    expect(read.notes).toEqual([
      {
        what: String.raw`--model D:\models\qwen3-8b.gguf`,
        reason: "a path of Windows; the model store is searched for the file's name",
      },
    ]);
    expect(shellWords(String.raw`llama-server -m /m/a\ b.gguf`)).toEqual([
      "llama-server",
      "-m",
      "/m/a b.gguf",
    ]);
  });

  test("what stands before it is said to stay behind, without the values of variables", () => {
    const read = readEngineCommand("env HF_TOKEN=topsecret nice -n 10 llama-server -m /m/x.gguf");
    expect(read.notes).toEqual([
      { what: "env HF_TOKEN= nice -n 10", reason: expect.stringContaining("stays behind") as string },
    ]);
  });

  test("a container's own flags are not read as the engine's", () => {
    const read = readEngineCommand(
      "docker run --rm -m 8g --cpus 4 --name llama.cpp-a -v /srv:/models ghcr.io/ggml-org/llama.cpp:server-cuda -m /models/x.gguf -c 4096",
    );
    expect(read).toMatchObject({ engine: "llama-server", source: "file:/srv/x.gguf", context: 4096 });
    expect(read.notes.map(({ what }) => what)).toEqual(["-m", "--cpus"].map((flag) => SAME[flag] ?? flag));
  });
});

const SAME: Readonly<Record<string, string>> = { "-m": "--model" };

const notesOf = (flags: string) =>
  readEngineCommand(`llama-server -m /x.gguf ${flags}`).notes.map(({ what, reason }) => `${what}: ${reason}`);

describe("devices", () => {
  test.each([
    ["-ngl 99", []],
    ["-ngl 999", []],
    ["-ngl -1", []],
    ["-ngl all", []],
    ["-ngl 0", [/^--n-gpu-layers 0: it ran on the CPU there/]],
    ["--gpu-layers 20", [/^--n-gpu-layers 20: if that was a part/]],
    ["--device none", [/^--device none: it ran on the CPU there/]],
    ["-dev CUDA1", [/^--device CUDA1: which devices/]],
    ["-dev CUDA0,CUDA1", [/^--device CUDA0,CUDA1: carried as min_devices; which devices/]],
    ["-ts 0,1", [/^--tensor-split 0,1: how it is split/]],
    ["-ts 1,1", []],
    ["-ts 3,1", [/^--tensor-split 3,1: carried as min_devices; how/]],
  ] as const)("%s", (flags, expected) => {
    expect(notesOf(flags)).toEqual(expected.map((pattern) => expect.stringMatching(pattern) as string));
  });

  test.each([
    ["-ts 0,1", undefined],
    ["-ts 1,1", 2],
    ["-ts 2,1,1", 3],
    ["-dev CUDA0,CUDA1", 2],
    ["-dev none", undefined],
  ])("%s spreads over %s devices", (flags, minDevices) => {
    expect(readEngineCommand(`llama-server -m /x.gguf ${flags}`).minDevices).toBe(minDevices);
  });
});

test("a command that names no file says where the file is looked for", () => {
  const read = readEngineCommand("llama-server --port 8080");
  expect(read).toMatchObject({ engine: "llama-server" });
  expect(read.source).toBeUndefined();
  expect(read.notes).toMatchObject([{ what: "no --model" }]);
});
