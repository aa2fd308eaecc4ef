import { readFileSync } from "node:fs";

/** node client-process.ts ADDRESS PATH FORM MIB: asks once and prints the status. Its work is not the gateway's either. */
const [address = "", path = "", form = "", mib = "1"] = process.argv.slice(2);
const bytes = Number(mib) * 1024 * 1024;

const message = (_: unknown, index: number) => ({
  role: index % 2 === 0 ? "user" : "assistant",
  content: "hello there",
});

const said = (): string => {
  if (form === "one text") return JSON.stringify([{ role: "user", content: "word ".repeat(bytes / 5) }]);
  if (form === "nested") return "[".repeat(bytes / 2) + "]".repeat(bytes / 2);
  if (form === "escapes") return JSON.stringify([{ role: "user", content: '"\\'.repeat(bytes / 4) }]);
  return JSON.stringify(Array.from({ length: bytes / 45 }, message));
};
const field = path === "/v1/responses" ? "input" : "messages";
const limit = path === "/v1/messages" ? '"max_tokens":5,' : "";
const body = `{"model":"org/a",${limit}"${field}":${said()}}`;
process.stdout.write("ready\n");
// Whoever measures says when.
readFileSync(0);
const response = await fetch(address + path, {
  method: "POST",
  headers: { "content-type": "application/json" },
  body,
});
await response.arrayBuffer();
process.stdout.write(`${response.status}\n`);
