import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";

// What GET /version answers. A package that is built outside of a repository has no commit to name.
function commit(): string {
  try {
    return execFileSync("git", ["rev-parse", "HEAD"], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    }).trim();
  } catch {
    return "unknown";
  }
}

writeFileSync(new URL("../dist/build-info.json", import.meta.url), JSON.stringify({ git_sha: commit() }));
