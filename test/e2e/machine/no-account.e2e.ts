import { expect, test } from "vitest";
import { runCortex } from "../../support/cortex-process.ts";

/** What Node does for a user id that /etc/passwd does not know. */
const NO_ACCOUNT = `
  import os from "node:os";
  import { syncBuiltinESMExports } from "node:module";
  os.userInfo = () => { throw new Error("uv_os_get_passwd returned ENOENT"); };
  syncBuiltinESMExports();`;

test("a user id without an account can run every command", async () => {
  const environment = {
    NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(NO_ACCOUNT)}`,
    CORTEX_DATA_DIR: "/nonexistent",
  };
  const run = await runCortex(["schema"], { environment });
  expect(run).toMatchObject({ code: 0, stderr: "" });
});
