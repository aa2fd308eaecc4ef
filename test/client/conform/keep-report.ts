import { readFileSync, writeFileSync } from "node:fs";
import { keptReport, otherServersSchema } from "./other-servers.ts";

/** keep-report.ts SERVER REPORT.json: keeps what `cortex conform --json` said of a server, for docs/conformance.md. */
const KEPT = new URL("other-servers.json", import.meta.url);
const [server = "", path = ""] = process.argv.slice(2);
const report = keptReport(server, JSON.parse(readFileSync(path, "utf8")));
const kept = otherServersSchema.parse(JSON.parse(readFileSync(KEPT, "utf8")));
const others = kept.filter((one) => one.server !== server || one.dialect !== report.dialect);
writeFileSync(KEPT, `${JSON.stringify([...others, report], undefined, 2)}\n`);
