import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { readTokenFile } from "../../src/platform/token-file.ts";

const TOKEN = "0123456789abcdef0123";
let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "cortex-test-token-"));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

async function tokenFile(content: string, mode: number): Promise<string> {
  const path = join(directory, `token-${mode.toString(8)}-${content.length}`);
  await writeFile(path, content);
  await chmod(path, mode);
  return path;
}

test("a private file gives its token without the line end", async () => {
  expect(await readTokenFile(await tokenFile(`${TOKEN}\n`, 0o600))).toBe(TOKEN);
  expect(await readTokenFile(await tokenFile(TOKEN, 0o400))).toBe(TOKEN);
});

test.each([
  { name: "readable by the group", content: TOKEN, mode: 0o640 },
  { name: "readable by all", content: TOKEN, mode: 0o604 },
  { name: "empty", content: "\n", mode: 0o600 },
  { name: "too short", content: "hunter2", mode: 0o600 },
  { name: "of two words", content: `${TOKEN} ${TOKEN}`, mode: 0o600 },
])("a file that is $name is refused, and its content is not told", async ({ content, mode }) => {
  const refused: unknown = await readTokenFile(await tokenFile(content, mode)).catch(
    (thrown: unknown) => thrown,
  );
  expect(refused).toMatchObject({ code: "token_file_unsafe" });
  expect(String(refused)).not.toContain(content.trim() === "" ? TOKEN : content);
});

test("a file that is not there is refused", async () => {
  await expect(readTokenFile(join(directory, "none"))).rejects.toMatchObject({ code: "token_file_unsafe" });
});
