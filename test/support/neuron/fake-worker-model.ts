import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const fakeWorkerEntry = fileURLToPath(new URL("./fake-worker.ts", import.meta.url));

/** What the fake worker does with a request; the request's `fake` field says it. */
export type FakeChat =
  | "echo"
  | "stream"
  | "endless"
  | "silent"
  | "silent-stream"
  | "crash-before"
  | "crash-mid-stream"
  | "crash-mid-event"
  | "crash-mid-json"
  | "refuse";

/** What the fake worker does with its process; written into the model file behind the magic bytes. */
export interface FakeScript {
  readonly memoryBytes: number;
  readonly load: "ready" | "fail" | "crash" | "never";
  /** A file that holds the load until the test makes it. */
  readonly loadGate?: string;
  readonly onStop: "exit" | "ignore";
  readonly eventsFile: string;
}

export interface FakeModel {
  /** What the workers of this model recorded so far. */
  events(): readonly string[];
  /** Lets loads that wait at the gate go on. */
  openGate(): void;
}

/** Writes a model file that scripts its fake worker; `name` is the name in the store. */
export function writeFakeModel(
  directory: string,
  name: string,
  script: Partial<Omit<FakeScript, "eventsFile" | "loadGate">> & { readonly gated?: boolean } = {},
): FakeModel {
  const eventsFile = join(directory, `${name}.events`);
  const gate = join(directory, `${name}.gate`);
  const { gated, ...rest } = script;
  const whole: FakeScript = {
    memoryBytes: 64 * 1024 * 1024,
    load: "ready",
    onStop: "exit",
    ...rest,
    ...(gated === true ? { loadGate: gate } : {}),
    eventsFile,
  };
  writeFileSync(join(directory, `${name}.gguf`), `GGUF${JSON.stringify(whole)}`);
  return {
    events: () =>
      existsSync(eventsFile)
        ? readFileSync(eventsFile, "utf8")
            .split("\n")
            .filter((line) => line !== "")
        : [],
    openGate: () => {
      writeFileSync(gate, "");
    },
  };
}
