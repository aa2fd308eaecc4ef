import { fileURLToPath } from "node:url";
import { rolldown } from "rolldown";

/** The page of `/ui` as one file: `src/page` and the little that it imports. */
const bundle = await rolldown({
  cwd: fileURLToPath(new URL("..", import.meta.url)),
  input: "src/page/io/main.ts",
  platform: "browser",
  tsconfig: false,
});
await bundle.write({ file: "dist/page/app.js", format: "es", minify: true });
await bundle.close();
