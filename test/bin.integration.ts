import { expect, test } from "vitest";
import { runCortex } from "./support/cortex-process.ts";

test("screens are drawn by React's build for users, unless somebody asks for the other one", async () => {
  const tell = 'process.on("exit", () => process.stderr.write(`NODE_ENV=${process.env.NODE_ENV}\\n`));';
  const NODE_OPTIONS = `--import=data:text/javascript,${encodeURIComponent(tell)}`;
  const usual = await runCortex(["--version"], { environment: { NODE_OPTIONS } });
  expect(usual.stderr).toContain("NODE_ENV=production\n");
  const asked = await runCortex(["--version"], { environment: { NODE_OPTIONS, NODE_ENV: "development" } });
  expect(asked.stderr).toContain("NODE_ENV=development\n");
});
