import { createHash } from "node:crypto";
import { mkdir, mkdtemp, rm, symlink, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createModelFiles } from "../../../src/neuron/model/io/model-files.ts";
import { modelSpecSchema } from "../../../src/protocol/neuron-api.ts";
import { writeTinyGguf } from "../../support/neuron/gguf-writer.ts";

let base: string;
let store: string;
let shipped: string;
const content = writeTinyGguf();
const digest = createHash("sha256").update(content).digest("hex");

beforeAll(async () => {
  base = await mkdtemp(join(tmpdir(), "cortex-test-files-"));
  store = join(base, "store");
  shipped = join(base, "shipped");
  await mkdir(join(store, "org"), { recursive: true });
  await mkdir(join(store, "folder.gguf"));
  await mkdir(shipped);
  await writeFile(join(store, "alpha.gguf"), content);
  await writeFile(join(store, "org", "beta.gguf"), content);
  await writeFile(join(shipped, "demo.gguf"), content);
  await writeFile(join(store, "text.gguf"), "no model");
  await writeFile(join(store, "empty.gguf"), "");
  await writeFile(join(base, "outside.gguf"), content);
  await symlink(join(base, "outside.gguf"), join(store, "escape.gguf"));
  await symlink(join(store, "alpha.gguf"), join(store, "link.gguf"));
  await symlink(join(store, "loop.gguf"), join(store, "loop.gguf"));
});

afterAll(() => rm(base, { recursive: true, force: true }));

const verify = (spec: Record<string, unknown>, signal = new AbortController().signal) =>
  createModelFiles([store, shipped, join(base, "not-there")]).verify(modelSpecSchema.parse(spec), signal);

describe("a file is found", () => {
  test.each([
    { spec: { model_id: "alpha" }, path: "store/alpha.gguf" },
    { spec: { model_id: "alpha.gguf" }, path: "store/alpha.gguf" },
    { spec: { model_id: "org/beta" }, path: "store/org/beta.gguf" },
    { spec: { model_id: "x", source: "demo" }, path: "shipped/demo.gguf" },
    { spec: { model_id: "x", source: "link" }, path: "store/alpha.gguf" },
    { spec: { model_id: "x", source: "file:demo.gguf" }, path: "shipped/demo.gguf" },
  ])("by $spec", async ({ spec, path }) => {
    const file = await verify(spec);
    expect(file).toMatchObject({ path: join(base, path), fileBytes: content.length });
    expect(file.shape).not.toBeNull();
  });

  test("by its absolute path below a root, with its digest", async () => {
    const source = `file:${join(store, "alpha.gguf")}`;
    expect(await verify({ model_id: "x", source, sha256: digest })).toMatchObject({
      fileBytes: content.length,
    });
  });
});

describe("a file is refused", () => {
  test.each([
    { source: "escape", code: "source_forbidden" },
    { source: "file:outside.gguf", code: "source_not_found" },
    { source: "file:/etc/hostname", code: "source_forbidden" },
    { source: "file:/no/such/file", code: "source_forbidden" },
    { source: "text", code: "model_file_invalid" },
    { source: "empty", code: "model_file_invalid" },
    { source: "folder", code: "source_not_found" },
    { source: "loop", code: "source_not_found" },
    { source: "alpha/x", code: "source_not_found" },
    { source: "x".repeat(300), code: "source_not_found" },
  ])("$source as $code", async ({ source, code }) => {
    await expect(verify({ model_id: "x", source })).rejects.toMatchObject({ code });
  });

  test("with a hint at the nearest name, also below a folder", async () => {
    await expect(verify({ model_id: "org/bet" })).rejects.toMatchObject({
      details: { nearest: "org/beta" },
    });
    await expect(verify({ model_id: "zzzzzz" })).rejects.toMatchObject({ details: { nearest: null } });
  });

  test("when it is not what is pinned; a changed file is read again", async () => {
    const files = createModelFiles([store]);
    const { signal } = new AbortController();
    const path = join(store, "changing.gguf");
    const spec = modelSpecSchema.parse({ model_id: "changing", sha256: digest });
    await writeFile(path, content);
    expect(await files.verify(spec, signal)).toMatchObject({ path });
    const changed = Uint8Array.from(content);
    changed[changed.length - 1] = (changed[changed.length - 1] ?? 0) ^ 1;
    await rm(path);
    await writeFile(path, changed);
    await expect(files.verify(spec, signal)).rejects.toMatchObject({
      code: "checksum_mismatch",
      details: { pinned_sha256: digest, actual_sha256: createHash("sha256").update(changed).digest("hex") },
    });
  });

  test.each([
    { name: "the right digest", text: (right: string) => `${right}  sealed.gguf\n`, accepted: true },
    {
      name: "another digest",
      text: (right: string) => `${right.replace(/^./, "x")}  sealed.gguf\n`,
      accepted: false,
    },
    { name: "nothing", text: () => "", accepted: false },
  ])("a .sha256 beside the file with $name is held to", async ({ text, accepted }) => {
    const path = join(store, "sealed.gguf");
    await writeFile(path, content);
    await writeFile(`${path}.sha256`, text(digest));
    const verified = verify({ model_id: "sealed" }).then(
      () => "accepted",
      (thrown: { readonly code: string }) => thrown.code,
    );
    expect(await verified).toBe(accepted ? "accepted" : "checksum_mismatch");
  });

  test("and a digest stops when nobody wants it any more", async () => {
    const gone = new AbortController();
    gone.abort();
    const verifying = verify({ model_id: "alpha", sha256: digest }, gone.signal);
    await expect(verifying).rejects.toMatchObject({ name: "AbortError" });
  });
});

test("the megabytes that a header was read into are given back at once", async () => {
  // Says that it has a key of 2^60 letters, so that it is read for as long as there is something.
  const endless = Buffer.concat([Buffer.from(content.subarray(0, 16)), Buffer.alloc(16)]);
  endless.writeBigUInt64LE(1n, 16);
  endless.writeBigUInt64LE(2n ** 60n, 24);
  await writeFile(join(store, "endless.gguf"), endless);
  await truncate(join(store, "endless.gguf"), 20 * 2 ** 20);
  const before = process.memoryUsage().arrayBuffers;
  const files = createModelFiles([store]);
  const facts = await files.inspect(modelSpecSchema.parse({ model_id: "endless" }));
  const held = process.memoryUsage().arrayBuffers - before;
  expect(facts.shape).toBeNull();
  expect(held).toBeLessThan(2 ** 20);
});
