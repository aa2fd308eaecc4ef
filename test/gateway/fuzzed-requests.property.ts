import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import fc from "fast-check";
import { expect, test } from "vitest";
import { parseJson } from "../../src/core/json.ts";
import { errorEnvelopeSchema } from "../../src/protocol/error-envelope.ts";
import { residentModel } from "../support/neuron/fake-neuron.ts";
import { RawClient } from "../support/raw-http.ts";
import { rawRequest, type RawRequest } from "../support/raw-requests.ts";
import { ask, fakeNeuron, fleetWith, gatewayFor, metricsOf } from "./gateway-bench.ts";

const MODEL = "org/a";
/** With `npm run fuzz` 10^4, with seeds of their own; else some, always the same. */
const REQUESTS = fc.readConfigureGlobal().seed === undefined ? 10_000 : 500;
const AT_ONCE = 20;
/** What waits for more than was sent is left alone after this. */
const PATIENCE_MS = 100;

/** Everything that came back; `open` where the request had no end, or asked for nothing that ends. */
async function sent(address: string, { pieces, isWhole }: RawRequest): Promise<string> {
  const client = new RawClient(address);
  for (const piece of pieces) client.send(piece);
  const answered = client.until(/^HTTP\/1\.1 [2-5]\d\d [^]*\r\n\r\n/);
  const patience = isWhole ? 10_000 : PATIENCE_MS;
  await Promise.race([answered, new Promise((resolve) => setTimeout(resolve, patience).unref())]);
  // The body of the answer comes with its head or right behind it.
  await new Promise((resolve) => setImmediate(resolve));
  client.leave();
  return client.text;
}

const CONTINUE = /^(?:HTTP\/1\.1 100 Continue\r\n\r\n)+/;
const ENVELOPE = /\r\n\r\n(\{"error".*\})/;

/** What is wrong with an answer; undefined for a good one, and for none where none was due. */
function fault(received: string, request: RawRequest): string | undefined {
  const text = received.replace(CONTINUE, "");
  const wrong = wrongIn(text, request);
  if (wrong === undefined) return undefined;
  const asked = Buffer.concat(request.pieces).toString("latin1").slice(0, 400);
  return `${wrong}: ${JSON.stringify(asked)} -> ${text.slice(0, 600)}`;
}

function wrongIn(text: string, { isWhole, pieces }: RawRequest): string | undefined {
  if (text === "") return isWhole ? "no answer" : undefined;
  const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(text)?.[1]);
  if (!Number.isInteger(status)) return "no HTTP";
  if (!/x-request-id: \S+/i.test(text)) return "no request id";
  // An answer to HEAD has no body, and of a long one not all may have come.
  const isHead = String(pieces[0]).startsWith("HEAD") || text.endsWith("\r\n\r\n");
  if (status < 400 || isHead) return undefined;
  const body = ENVELOPE.exec(text)?.[1];
  return errorEnvelopeSchema.safeParse(parseJson(body ?? "")).success ? undefined : "no envelope";
}

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

/** What is held once everything that can go has gone. */
function heldMib(): number {
  collectGarbage();
  const { heapUsed, external } = process.memoryUsage();
  return (heapUsed + external) / 2 ** 20;
}

/** Beyond what the first batches left behind; bodies of these requests are up to a MiB. */
const GROWTH_MIB = 24;

test(
  "whatever bytes come, each gets an envelope or a clean close, no defect is logged, and others are served",
  { timeout: 600_000 },
  async () => {
    const neuron = await fakeNeuron({ models: [residentModel(MODEL)] });
    const lines: string[] = [];
    const fleet = fleetWith({ n1: neuron.url }, [{ id: MODEL }], { limits: { body_mb: 1 } });
    const gateway = await gatewayFor(fleet, { onLog: (line) => lines.push(line) });
    const requests = fc.sample(rawRequest, REQUESTS);
    let heldAtFirstMib = 0;
    for (let begun = 0; begun < requests.length; begun += AT_ONCE) {
      const batch = requests.slice(begun, begun + AT_ONCE);
      const texts = await Promise.all(batch.map((request) => sent(gateway.address, request)));
      expect(
        texts.flatMap((text, index) => fault(text, batch[index] ?? { pieces: [], isWhole: false }) ?? []),
      ).toEqual([]);
      expect((await ask(gateway, MODEL)).status).toBe(200);
      expect(lines.filter((line) => line.includes(`"level":50`))).toEqual([]);
      lines.length = 0;
      neuron.calls.length = 0;
      if (begun === 5 * AT_ONCE) heldAtFirstMib = heldMib();
    }
    expect(heldMib() - heldAtFirstMib).toBeLessThan(GROWTH_MIB);
    await expect.poll(() => metricsOf(gateway)).toContain(`cortex_requests_in_flight{model="org/a"} 0`);
  },
);
