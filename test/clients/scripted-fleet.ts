import { request } from "undici";
import { CortexProcess, freePort } from "../support/cortex-process.ts";
import { commitFleet, fleetText, temporaryDirectory } from "../support/fleet/fleet-on-disk.ts";
import { FakeNeuron, residentModel } from "../support/neuron/fake-neuron.ts";
import type { ScriptedModel } from "./scripted-model.ts";

export const SCRIPTED_MODEL = "scripted/model";

export interface ScriptedFleet extends AsyncDisposable {
  readonly gatewayUrl: string;
}

/** A real gateway over a neuron whose model is a script; with `loadMs` it is not loaded yet, and takes so long. */
export async function startScriptedFleet(
  model: ScriptedModel,
  { loadMs, cuts }: { readonly loadMs: number | null; readonly cuts: number },
): Promise<ScriptedFleet> {
  const stack = new AsyncDisposableStack();
  const directory = stack.use(await temporaryDirectory());
  const resident = residentModel(SCRIPTED_MODEL, { limit: { context: 200_000, output: 32_000 } });
  let cutsLeft = cuts;
  const neuron = await FakeNeuron.start({
    models: loadMs === null ? [resident] : [],
    load: { kind: "wait" },
    answer: {
      kind: "scripted",
      reply: (body) => {
        const { chunks, whole, turn } = model.answer(body);
        const isCut = cutsLeft > 0 && turn.kind !== "title";
        if (isCut) cutsLeft -= 1;
        return { chunks: isCut ? chunks.slice(0, 3) : chunks, whole, isCut };
      },
    },
  });
  stack.defer(() => neuron.stop());
  if (loadMs !== null) void endLoad(neuron, loadMs);
  const [gatewayPort, metricsPort] = [await freePort(), await freePort()];
  const models = `[[models]]\nid = "${SCRIPTED_MODEL}"\nsource = "hf:scripted/model"\nvram_mb = 1000\ncontext = 200000\ncapabilities = ["text", "tools"]\n`;
  await commitFleet(
    directory.path,
    fleetText({ gatewayPort, metricsPort, neurons: { scripted: neuron.port }, models }),
  );
  const gateway = new CortexProcess(["serve", "--config", directory.path], {
    environment: { CORTEX_DATA_DIR: `${directory.path}/.data` },
  });
  stack.defer(async () => {
    await gateway.stop("SIGTERM");
  });
  await gateway.waitFor(/listening/);
  const gatewayUrl = `http://127.0.0.1:${gatewayPort}`;
  for (;;) {
    const listed = await request(`${gatewayUrl}/v1/models`);
    const { data } = (await listed.body.json()) as { readonly data: readonly unknown[] };
    if (data.length > 0) break;
  }
  return { gatewayUrl, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

async function endLoad(neuron: FakeNeuron, loadMs: number): Promise<void> {
  await neuron.until(({ calls }) => calls.some(({ path }) => path === "/models/load"));
  setTimeout(() => {
    neuron.finishLoad(SCRIPTED_MODEL);
  }, loadMs);
}
