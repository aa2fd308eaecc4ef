import { lstat, mkdir, readdir, readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeEach, afterEach, describe, expect, test } from "vitest";
import { clientSettings } from "../../../src/client/settings/client-settings.ts";
import { carryOutWrite, planWrite } from "../../../src/client/settings/io/write-settings.ts";
import type { SettingsFile } from "../../../src/client/settings/settings-change.ts";
import { temporaryDirectory } from "../../support/fleet/fleet-on-disk.ts";

const ENDPOINT = { baseUrl: "http://gateway.internal:31313", model: "org/a", context: null, keyFile: null };

const codexFile = (): SettingsFile => {
  const { file } = clientSettings("codex", ENDPOINT);
  if (file === null) throw new Error("codex has a file");
  return file;
};

let home: Awaited<ReturnType<typeof temporaryDirectory>>;

beforeEach(async () => {
  home = await temporaryDirectory();
});

afterEach(async () => {
  await home[Symbol.asyncDispose]();
});

const planned = () => planWrite(codexFile(), { homeDirectory: home.path });

describe("settings on disk", () => {
  test("a file that is not there is made, readable for its owner alone", async () => {
    const plan = await planned();
    expect(plan.before).toBeNull();
    expect(await carryOutWrite(plan)).toBeNull();
    const path = join(home.path, ".codex/config.toml");
    expect((await lstat(path)).mode & 0o777).toBe(0o600);
    expect(await readFile(path, "utf8")).toContain(ENDPOINT.baseUrl);
    expect(await planned()).toMatchObject({ isSame: true });
  });

  test("a link stays a link, a mode stays, and each write keeps what was before it", async () => {
    const target = join(home.path, "dotfiles.toml");
    await writeFile(target, "# mine\n", { mode: 0o644 });
    await mkdir(join(home.path, ".codex"));
    const link = join(home.path, ".codex/config.toml");
    await symlink(target, link);
    expect(await carryOutWrite(await planned())).toBe(`${target}.before-cortex-1`);
    expect(await readFile(`${target}.before-cortex-1`, "utf8")).toBe("# mine\n");
    await writeFile(target, "# mine again\n");
    expect(await carryOutWrite(await planned())).toBe(`${target}.before-cortex-2`);
    expect(await readFile(`${target}.before-cortex-1`, "utf8")).toBe("# mine\n");
    expect((await lstat(link)).isSymbolicLink()).toBe(true);
    expect((await lstat(target)).mode & 0o777).toBe(0o644);
  });

  test("what cannot be read is left alone", async () => {
    await mkdir(join(home.path, ".codex"));
    await writeFile(join(home.path, ".codex/config.toml"), "a = ");
    await expect(planned()).rejects.toMatchObject({ code: "settings_unreadable" });
    expect(await readdir(join(home.path, ".codex"))).toEqual(["config.toml"]);
  });
});
