import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Config } from "@oclif/core/config";
import { knownCommands } from "../src/cli/shell/known-commands.ts";
import { manPages } from "../src/cli/shell/man-page.ts";

// `npm install --global` puts what is in the package's man folder where `man` looks.
const folder = new URL("../dist/man/", import.meta.url);
rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });
const config = await Config.load({ root: fileURLToPath(new URL("..", import.meta.url)) });
for (const [name, text] of manPages(knownCommands(config.commands), config.version)) {
  writeFileSync(new URL(name, folder), text);
}
