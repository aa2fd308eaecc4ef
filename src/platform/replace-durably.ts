import { mkdir, open, rename } from "node:fs/promises";
import { dirname } from "node:path";

/** Replaces a small file as a whole and on disk: after a loss of power it says the old or the new. */
export async function replaceDurably(path: string, text: string): Promise<void> {
  const directory = dirname(path);
  await mkdir(directory, { recursive: true });
  const draft = `${path}.new`;
  const file = await open(draft, "w", 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(draft, path);
  const folder = await open(directory, "r");
  await folder.sync().catch(() => undefined);
  await folder.close();
}
