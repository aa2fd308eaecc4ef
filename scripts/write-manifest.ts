import { rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Config } from "@oclif/core/config";

// With a manifest oclif answers --help without importing a single command. An old one would be read back, so it goes first.
const manifestPath = new URL("../oclif.manifest.json", import.meta.url);
rmSync(manifestPath, { force: true });

const config = await Config.load({ root: fileURLToPath(new URL("..", import.meta.url)) });
const plugin = config.plugins.get("cortex");
if (plugin === undefined || !("manifest" in plugin))
  throw new Error("oclif found no commands in dist/commands");
writeFileSync(manifestPath, `${JSON.stringify(plugin.manifest, undefined, 2)}\n`);
