import { rmSync } from "node:fs";

// A file that was renamed in src would otherwise live on in dist as a command.
rmSync(new URL("../dist", import.meta.url), { recursive: true, force: true });
