import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { watchFiles } from "../../src/platform/watch-files.ts";
import { temporaryDirectory } from "../support/fleet/fleet-on-disk.ts";

/** Of a change that is made in steps there may be two calls where the machine is busy. */
async function watched(path: string) {
  let calls = 0;
  const stop = watchFiles(path, () => {
    calls += 1;
  });
  if (stop === null) throw new Error(`${path} is not watched`);
  return {
    /** Rejects where the change is not told of in time. */
    async sees(change: () => Promise<unknown>): Promise<true> {
      const before = calls;
      await change();
      await expect.poll(() => calls).toBeGreaterThan(before);
      return true;
    },
    [Symbol.dispose]: stop,
  };
}

/** As git and most editors write: another file takes the name. */
async function replace(path: string, text: string): Promise<void> {
  await writeFile(`${path}~`, text);
  await rename(`${path}~`, path);
}

test("a file that is replaced is seen the second time too, and so is what comes, changes and goes", async () => {
  await using directory = await temporaryDirectory();
  const file = join(directory.path, "fleet.toml");
  await writeFile(file, "a");
  using seen = await watched(directory.path);
  expect(await seen.sees(() => replace(file, "b"))).toBe(true);
  expect(await seen.sees(() => replace(file, "c"))).toBe(true);
  expect(await seen.sees(() => writeFile(file, "d"))).toBe(true);
  expect(await seen.sees(() => writeFile(join(directory.path, "models.toml"), "m"))).toBe(true);
  expect(await seen.sees(() => replace(join(directory.path, "models.toml"), "n"))).toBe(true);
  expect(await seen.sees(() => rm(join(directory.path, "models.toml")))).toBe(true);
});

test("folders that come later count", async () => {
  await using directory = await temporaryDirectory();
  const folder = join(directory.path, "models");
  using seen = await watched(directory.path);
  const comes = async (): Promise<void> => {
    await mkdir(folder);
    await writeFile(join(folder, "qwen.toml"), "a");
  };
  expect(await seen.sees(comes)).toBe(true);
  expect(await seen.sees(() => replace(join(folder, "qwen.toml"), "b"))).toBe(true);
  expect(await seen.sees(() => rm(folder, { recursive: true }))).toBe(true);
});

test("one file may be named", async () => {
  await using directory = await temporaryDirectory();
  const file = join(directory.path, "home.toml");
  await writeFile(file, "a");
  using seen = await watched(file);
  expect(await seen.sees(() => replace(file, "b"))).toBe(true);
  expect(await seen.sees(() => replace(file, "c"))).toBe(true);
});

test("what is not there is not watched", () => {
  expect(watchFiles("/nonexistent/fleet", () => undefined)).toBeNull();
});
