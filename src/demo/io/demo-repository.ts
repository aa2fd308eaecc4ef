import { mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { commitFirst, makeRepository } from "../../repository/io/make-repository.ts";

/** Makes the demo fleet repository, or leaves the one that is there exactly as its owner changed it. */
export async function ensureDemoRepository(
  directory: string,
  files: Readonly<Record<string, string>>,
): Promise<{ readonly created: boolean }> {
  await mkdir(directory, { recursive: true });
  if ((await readdir(directory)).length > 0) return { created: false };
  for (const [name, text] of Object.entries(files)) await writeFile(join(directory, name), text);
  await makeRepository(directory);
  await commitFirst(directory, {
    files: Object.keys(files),
    message: "A fleet with the demo model",
    author: { name: "cortex up", email: "cortex-up@localhost.invalid" },
  });
  return { created: true };
}
