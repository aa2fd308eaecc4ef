import { describe, expect, test } from "vitest";
import { fleetSchema } from "../../src/fleet/schema/fleet-schema.ts";
import { hashOfSecret } from "../../src/gateway/keys/key-ring.ts";
import type { RunningGateway } from "../../src/gateway/io/start-gateway.ts";
import { ask, fakeNeuron, fleetOf, gatewayFor, jsonOf } from "../gateway/gateway-bench.ts";
import { residentModel, TEST_DEVICE, type FakeNeuron } from "../support/neuron/fake-neuron.ts";
import { executablePath, openPage, overflow, PHONE, violationsOf } from "./browser-bench.ts";

const [STAYS, ASKED] = ["org/stays", "org/asked"];
const USAGE = { promptTokens: 7, completionTokens: 3, cachedTokens: 0, reasoningTokens: 0 };

const chunk = (fields: object): string =>
  `data: ${JSON.stringify({ id: "c", object: "chat.completion.chunk", created: 0, model: STAYS, ...fields })}\n\n`;
const text = (content: string, finish: string | null = null) =>
  chunk({ choices: [{ index: 0, delta: { content }, finish_reason: finish }] });

/** As a worker writes it, with what it counted at the end. */
const STREAM = [
  ...["Hello", " there"].map((word) => text(word)),
  text("!", "stop"),
  chunk({ choices: [], usage: { prompt_tokens: 7, completion_tokens: 3, total_tokens: 10 } }),
  "data: [DONE]\n\n",
];

interface Running {
  readonly gateway: RunningGateway;
  readonly neuron: FakeNeuron;
  readonly url: string;
}

/** One neuron with a resident model and one that is loaded when it is asked for, which lasts until the test says so. */
async function runningFleet(): Promise<Running> {
  const neuron = await fakeNeuron({
    devices: [TEST_DEVICE, { ...TEST_DEVICE, index: 1, uuid: "SIM-1" }],
    models: [residentModel(STAYS, { vram_used_mb: 9000, parallel: 4 })],
    load: { kind: "wait" },
  });
  const models = [
    { id: STAYS, replicas: 1 },
    { id: ASKED, replicas: 0, vram_mb: 5000 },
  ];
  const gateway = await gatewayFor(fleetOf({ beast: neuron.url }, models, { small: STAYS }));
  return { gateway, neuron, url: `${gateway.address}/ui` };
}

const keyedFleet = (neuron: FakeNeuron) =>
  fleetSchema.parse({
    fleet: { name: "locked" },
    neurons: [{ name: "beast", endpoint: neuron.url }],
    models: [{ id: STAYS }],
    keys: [
      { id: "root", hash: hashOfSecret("secret-root"), role: "admin" },
      { id: "anna", hash: hashOfSecret("secret-anna") },
    ],
  });

describe.skipIf(executablePath === undefined)("the page in Chromium", () => {
  test("shows neurons, memory by who holds it, and models, and follows what changes", async () => {
    const { url, neuron, gateway } = await runningFleet();
    const page = await openPage(url);
    await page.getByText("All is well").waitFor();
    await page.getByRole("heading", { name: "beast" }).waitFor();
    const bar = page.getByRole("img", { name: /org\/stays resident 8\.8 GiB, free 15\.2 GiB/ });
    await bar.waitFor();
    await page.getByRole("row", { name: /org\/stays.*also small.*ready/ }).waitFor();
    // A request for a model that is not there: its load is seen, with how far it is, and then that it is there.
    const asked = ask(gateway, ASKED);
    await page.getByRole("progressbar", { name: /on beast/ }).waitFor();
    await page.getByRole("log").getByText("was asked for").waitFor();
    neuron.finishLoad(ASKED);
    expect((await asked).status).toBe(200);
    await page.getByRole("log").getByText("is loaded").waitFor();
    await page.getByRole("row", { name: /org\/asked.*ready.*beast/ }).waitFor();
  });

  test("says that a neuron has fallen silent, and why", async () => {
    const { url, neuron } = await runningFleet();
    const page = await openPage(url);
    await page.getByText("All is well").waitFor();
    await neuron.stop();
    await page.getByRole("log").getByText("does not answer").waitFor();
    await page.getByText("Degraded").waitFor();
    expect(await page.getByRole("heading", { name: "beast" }).isVisible()).toBe(true);
  });

  test("says that the connection is lost, shows what it knew, and comes back by itself", async () => {
    const { url, gateway, neuron } = await runningFleet();
    const page = await openPage(url);
    await page.getByText("All is well").waitFor();
    await gateway.close();
    await page.getByText("Connection lost, trying again").waitFor();
    expect(await page.getByRole("heading", { name: "beast" }).isVisible()).toBe(true);
    const listen = { host: "127.0.0.1", port: Number(new URL(gateway.address).port) };
    await gatewayFor(fleetOf({ benjy: neuron.url }), { listen });
    await page.getByRole("heading", { name: "benjy" }).waitFor();
    await page.getByText("Live", { exact: true }).waitFor();
  });

  test("a chat streams, by the keyboard alone, and its usage is plotted", async () => {
    const { url, neuron, gateway } = await runningFleet();
    neuron.answer = { kind: "raw_stream", chunks: STREAM };
    const page = await openPage(url);
    await page.getByText("All is well").waitFor();
    await page.keyboard.press("Tab");
    expect(await page.evaluate("document.activeElement.textContent")).toBe("Skip to the content");
    await tabTo(page, '[href="#chat"]');
    await page.keyboard.press("Enter");
    await page.getByRole("combobox", { name: "Model" }).waitFor();
    await page.getByRole("option", { name: STAYS, exact: true }).waitFor({ state: "attached" });
    await tabTo(page, "#question");
    await page.keyboard.type("Say hello");
    await page.keyboard.press("Enter");
    await page.getByText("Hello there!").waitFor();
    await page.getByText(/7 \+ 3 tokens/).waitFor();
    const sent = JSON.parse(neuron.callsTo("POST", "/v1/chat/completions")[0]?.body ?? "{}") as object;
    expect(sent).toMatchObject({
      model: STAYS,
      stream: true,
      messages: [{ role: "user", content: "Say hello" }],
    });
    neuron.answer = { kind: "tokens", tokens: ["Hello"], usage: USAGE };
    await (await ask(gateway, STAYS)).text();
    await expect
      .poll(async () => (await jsonOf(await fetch(`${gateway.address}/usage`)))["rows"])
      .toMatchObject([{ model: STAYS, requests: 2 }]);
    await page.goto(`${url}#usage`);
    await page.getByRole("heading", { name: "Tokens by model, 24 hours" }).waitFor();
    await page.locator(".legend", { hasText: /org\/stays \d\d$/ }).waitFor();
    await page.getByRole("radio", { name: "Requests" }).press("Space");
    await page.locator(".legend", { hasText: /org\/stays 2$/ }).waitFor();
    await page.getByText("As a table").press("Enter");
    await page.getByRole("columnheader", { name: STAYS }).waitFor();
  });

  test("an answer that is stopped frees its slot", async () => {
    const { url, neuron } = await runningFleet();
    neuron.answer = { kind: "hold", tokens: ["never", " ending"] };
    const page = await openPage(`${url}#chat`);
    await page.getByRole("option", { name: STAYS, exact: true }).waitFor({ state: "attached" });
    await page.getByLabel("Question", { exact: true }).fill("go on");
    await page.getByRole("button", { name: "Send" }).click();
    await page.getByText("never ending").waitFor();
    await page.getByRole("button", { name: "Stop" }).click();
    await page.getByText("stopped").waitFor();
    await expect.poll(() => neuron.abandoned).toBe(1);
  });

  test("an answer that breaks off is never shown as whole", async () => {
    const { url, neuron } = await runningFleet();
    neuron.answer = { kind: "cut", tokens: ["half", " an"] };
    const page = await openPage(`${url}#chat`);
    await page.getByRole("option", { name: STAYS, exact: true }).waitFor({ state: "attached" });
    await page.getByLabel("Question", { exact: true }).fill("go on");
    await page.keyboard.press("Enter");
    // What came just before the end may be lost with the connection; that it is not all must be seen.
    const problem = page.locator(".answer .problem");
    await problem.waitFor();
    expect(await problem.textContent()).toMatch(/broke off|broken off|incomplete|cut/);
  });

  test("asks for a key where the fleet has some; one without the admin role may chat and sees no fleet", async () => {
    const neuron = await fakeNeuron({ models: [residentModel(STAYS)] });
    const gateway = await gatewayFor(keyedFleet(neuron));
    const page = await openPage(`${gateway.address}/ui`);
    await page.getByRole("heading", { name: "A key of this fleet" }).waitFor();
    expect(await page.getByText("locked").count()).toBe(0);
    expect(await violationsOf(page)).toEqual([]);
    await page.getByLabel("Key", { exact: true }).fill("wrong");
    await page.keyboard.press("Enter");
    await page.getByText("is not one of this fleet's").waitFor();
    await page.getByLabel("Key", { exact: true }).fill("secret-anna");
    await page.keyboard.press("Enter");
    await page.getByText("This key may use models, not look at the fleet").waitFor();
    expect(await violationsOf(page)).toEqual([]);
    await page.getByRole("link", { name: "Chat with a model" }).click();
    await page.getByRole("option", { name: STAYS }).waitFor({ state: "attached" });
    await page.getByRole("button", { name: /^Key/ }).click();
    await page.getByLabel("Key", { exact: true }).fill("secret-root");
    await page.keyboard.press("Enter");
    await page.getByRole("link", { name: "Fleet" }).click();
    await page.getByRole("heading", { name: "beast" }).waitFor();
    // Kept for this tab alone, and in no address.
    expect(
      await page.evaluate("[localStorage.length, sessionStorage.getItem('cortex.key'), location.search]"),
    ).toEqual([1, "secret-root", ""]);
  });

  describe.each([
    { name: "light", options: { colorScheme: "light" as const } },
    { name: "dark", options: { colorScheme: "dark" as const } },
    { name: "a phone in the dark", options: { ...PHONE, colorScheme: "dark" as const } },
  ])("$name", ({ options }) => {
    test("axe finds nothing, and nothing is wider than the screen", async () => {
      const { url, gateway, neuron } = await runningFleet();
      neuron.answer = { kind: "tokens", tokens: ["Hello"], usage: USAGE };
      await (await ask(gateway, STAYS)).text();
      const loading = ask(gateway, ASKED);
      const page = await openPage(url, options);
      await page.getByRole("progressbar", { name: /on beast/ }).waitFor();
      neuron.draining = true;
      await page.getByRole("log").getByText("drains").waitFor();
      expect(await violationsOf(page)).toEqual([]);
      expect(await overflow(page)).toBe(0);
      await page.goto(`${url}#usage`);
      await page.locator(".legend", { hasText: "org/stays 10" }).waitFor();
      await page.getByText("As a table").click();
      expect(await violationsOf(page)).toEqual([]);
      expect(await overflow(page)).toBe(0);
      neuron.draining = false;
      await page.goto(`${url}#chat`);
      await page.getByRole("option", { name: STAYS, exact: true }).waitFor({ state: "attached" });
      await page.getByLabel("Model", { exact: true }).selectOption(STAYS);
      await page.getByLabel("Question", { exact: true }).fill("hi");
      await page.keyboard.press("Enter");
      await page.getByText(/first token after/).waitFor();
      expect(await violationsOf(page)).toEqual([]);
      expect(await overflow(page)).toBe(0);
      neuron.finishLoad(ASKED);
      await loading;
    });
  });

  test("the theme can be chosen, and is remembered", async () => {
    const { url } = await runningFleet();
    const page = await openPage(url, { colorScheme: "light" });
    const ground = () => page.evaluate<string>("getComputedStyle(document.body).backgroundColor");
    expect(await ground()).toBe("rgb(244, 245, 248)");
    await page.getByRole("button", { name: "Auto theme" }).click();
    await page.getByRole("button", { name: "Light theme" }).click();
    expect(await ground()).toBe("rgb(13, 16, 23)");
    await page.reload();
    await page.getByRole("button", { name: "Dark theme" }).waitFor();
    expect(await ground()).toBe("rgb(13, 16, 23)");
  });
});

type OpenPage = Awaited<ReturnType<typeof openPage>>;

/** By the Tab key alone, as somebody without a pointer gets there. */
async function tabTo(page: OpenPage, selector: string): Promise<void> {
  for (let presses = 0; presses < 60; presses += 1) {
    await page.keyboard.press("Tab");
    if (await page.evaluate<boolean>(`document.activeElement.matches('${selector}')`)) return;
  }
  throw new Error(`${selector} cannot be reached by the Tab key`);
}
