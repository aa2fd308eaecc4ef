import axe from "axe-core";
import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import { chromium } from "playwright-core";
import { afterAll, afterEach } from "vitest";
import { findChromium } from "../support/browser/find-chromium.ts";

export const executablePath = findChromium();

let browser: Browser | undefined;
const complaints: string[] = [];

/** A page of a real Chromium; what it complains of on its console fails the test, a breach of its policy too. */
export async function openPage(url: string, options: BrowserContextOptions = {}): Promise<Page> {
  browser ??= await chromium.launch({
    ...(executablePath === undefined ? {} : { executablePath }),
    // CI runs as root, which Chromium's own sandbox refuses.
    args: ["--no-sandbox"],
  });
  const context = await browser.newContext({ viewport: { width: 1400, height: 900 }, ...options });
  const page = await context.newPage();
  page.on("pageerror", (error) => complaints.push(error.message));
  page.on("console", (message) => {
    // A refusal is shown by the page, and by the browser too: that is no fault.
    if (message.type() === "error" && !/Failed to load resource/.test(message.text()))
      complaints.push(message.text());
  });
  await page.goto(url);
  return page;
}

afterEach(async () => {
  for (const context of browser?.contexts() ?? []) await context.close();
  const heard = complaints.splice(0);
  if (heard.length > 0) throw new Error(`the browser complains: ${heard.join("; ")}`);
});

afterAll(async () => {
  await browser?.close();
});

export const PHONE = { viewport: { width: 390, height: 844 } };

interface AxeResult {
  readonly violations: readonly {
    readonly id: string;
    readonly nodes: readonly { readonly html: string; readonly failureSummary?: string }[];
  }[];
}

/** What axe finds, best practices and all; empty where there is nothing to mend. */
export async function violationsOf(page: Page): Promise<readonly string[]> {
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate<AxeResult>("axe.run(document)");
  return violations.flatMap(({ id, nodes }) =>
    nodes.map(({ html, failureSummary = "" }) => `${id}: ${html} ${failureSummary}`),
  );
}

/** Whether something is wider than the screen: a phone would scroll sideways. */
export const overflow = (page: Page): Promise<number> =>
  page.evaluate<number>("document.documentElement.scrollWidth - document.documentElement.clientWidth");
