import { ModelStore } from "../../../src/neuron/store/io/model-store.ts";
import { systemClock } from "../../../src/platform/system-clock.ts";

// A process that fetches a source into a store, for tests that kill it.
const [root = "", endpoint = "", source = ""] = process.argv.slice(2);
const limits = { pieceBytes: 32 * 1024, reserveBytes: 0, connections: 1 };
const store = new ModelStore({ root, hub: { endpoint, token: undefined }, limits }, { clock: systemClock });
await store.fetch(source, { signal: new AbortController().signal });
await store.close();
