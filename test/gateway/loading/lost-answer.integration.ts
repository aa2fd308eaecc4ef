import { createServer, request, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { ask, fakeNeuron, fleetOf, gatewayFor, received } from "../gateway-bench.ts";

const MODEL = "org/cold";

/** Stands before a neuron, and loses its first answer to a load: the neuron has heard it, the gateway hears nothing. */
async function losingProxy(target: string) {
  const lost: string[] = [];
  const isToLose = ({ method, url = "" }: IncomingMessage): boolean =>
    lost.length === 0 && method === "POST" && url.startsWith("/models/load");
  const server = createServer((incoming, outgoing) => {
    const { method, url = "", headers } = incoming;
    const loses = isToLose(incoming);
    if (loses) lost.push(url);
    const passed = request(target + url, { method, headers }, (answer) => {
      if (loses) {
        answer.resume().once("end", () => incoming.socket.destroy());
        return;
      }
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(outgoing);
    });
    passed.on("error", () => outgoing.destroy());
    outgoing.on("close", () => passed.destroy());
    incoming.pipe(passed);
  });
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, lost };
}

test("a load whose answer was lost is found again, not begun a second time elsewhere", async () => {
  const [first, second] = await Promise.all([
    fakeNeuron({ load: { kind: "wait" } }),
    fakeNeuron({ load: { kind: "wait" } }),
  ]);
  const [one, other] = [await losingProxy(first.url), await losingProxy(second.url)];
  const gateway = await gatewayFor(fleetOf({ n1: one.url, n2: other.url }, [{ id: MODEL }]));
  const asked = ask(gateway, MODEL, { stream: true });
  await expect.poll(() => [...one.lost, ...other.lost]).toHaveLength(1);
  const holder = one.lost.length === 1 ? first : second;
  const stranger = holder === first ? second : first;
  await holder.until((neuron) => neuron.callsTo("POST", "/models/load").length > 0);
  holder.finishLoad(MODEL);
  expect((await received(await asked)).complete).toBe(true);
  expect(stranger.callsTo("POST", "/models/load")).toEqual([]);
});
