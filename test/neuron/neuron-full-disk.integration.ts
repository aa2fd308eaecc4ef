import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { writeFakeModel } from "../support/neuron/fake-worker-model.ts";
import { digestOf, startFileServer } from "../support/neuron/file-server.ts";
import { startTestNeuron, type WireError } from "../support/neuron/neuron-under-test.ts";

const COMMIT = "b".repeat(40);
const SIZE_BYTES = 1024 * 1024;

let disk = "";
/** What the fake worker of the fetched model writes goes beside the original. */
let elsewhere = "";

/** A file system of one MiB; only root may mount one, and not in every container. */
function mountSmallDisk(): boolean {
  disk = mkdtempSync(join(tmpdir(), "cortex-small-disk-"));
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", `size=${SIZE_BYTES}`, "tmpfs", disk], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

let isMounted = false;
beforeEach(() => {
  elsewhere = mkdtempSync(join(tmpdir(), "cortex-hub-"));
  isMounted = mountSmallDisk();
});
afterEach(() => {
  if (isMounted) execFileSync("umount", ["--lazy", disk]);
  rmSync(elsewhere, { recursive: true, force: true });
  rmSync(disk, { recursive: true, force: true });
});

function fillDisk(): void {
  try {
    for (let part = 0; ; part += 1) writeFileSync(join(disk, `filler-${part}`), Buffer.alloc(64 * 1024));
  } catch {
    // Full, which was wanted.
  }
}

function emptyDisk(): void {
  for (const name of readdirSync(disk).filter((one) => one.startsWith("filler-"))) rmSync(join(disk, name));
}

/** A hub that serves the bytes of one fake model. */
async function startHub() {
  writeFakeModel(elsewhere, "m-Q4_K_M");
  const body = new Uint8Array(readFileSync(join(elsewhere, "m-Q4_K_M.gguf")));
  const hub = await startFileServer();
  const siblings = [{ rfilename: "m-Q4_K_M.gguf", size: body.length, lfs: { sha256: digestOf(body) } }];
  hub.answers.set("/api/models/org/repo/revision/main?blobs=true", JSON.stringify({ sha: COMMIT, siblings }));
  hub.put(`/org/repo/resolve/${COMMIT}/m-Q4_K_M.gguf`, body);
  return hub;
}

test("a disk that is really full fails the load with the figures, harms nobody, and the load works once there is room", async (context) => {
  if (!isMounted) context.skip("no file system can be mounted here");
  await using hub = await startHub();
  await using neuron = await startTestNeuron({
    modelRoots: [disk],
    hub: { endpoint: hub.base, token: undefined },
    downloads: { reserveBytes: 0 },
  });
  writeFakeModel(disk, "here");
  expect((await neuron.load({ model_id: "here" })).status).toBe(200);
  fillDisk();
  const refused = await neuron.load<WireError>({ model_id: "far", source: "hf:org/repo" });
  expect(refused.status).toBe(507);
  expect(refused.body.error).toMatchObject({
    code: "disk_full",
    next: expect.stringContaining("cortex store gc") as string,
  });
  expect((await neuron.models()).models.map(({ id, status }) => [id, status])).toEqual([["here", "loaded"]]);
  emptyDisk();
  expect(await neuron.load({ model_id: "far", source: "hf:org/repo" })).toMatchObject({ status: 200 });
});
