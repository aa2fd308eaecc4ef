import { describe, expect, test } from "vitest";
import { hashOfSecret } from "../../src/gateway/keys/key-ring.ts";
import { fleetSchema } from "../../src/fleet/schema/fleet-schema.ts";
import { RawClient } from "../support/raw-http.ts";
import { fleetOf, gatewayFor } from "../gateway/gateway-bench.ts";

const PATHS = ["/ui", "/ui/app.js", "/ui/page.css", "/ui/icon.svg"];

const lockedFleet = fleetSchema.parse({
  fleet: { name: "test" },
  keys: [{ id: "anna", hash: hashOfSecret("secret-anna") }],
});

describe("the page's files", () => {
  test.each(PATHS)("%s is there without a key, and holds a browser to this gateway", async (path) => {
    const gateway = await gatewayFor(lockedFleet);
    const response = await fetch(gateway.address + path);
    expect(response.status).toBe(200);
    const policy = response.headers.get("content-security-policy") ?? "";
    expect(policy).toContain("default-src 'none'; script-src 'self'; style-src 'self'");
    expect(policy).toContain("frame-ancestors 'none'");
    expect(policy).not.toMatch(/unsafe|\*|data:|https?:/);
    expect(response.headers.get("x-content-type-options")).toBe("nosniff");
    expect(response.headers.get("cache-control")).toBe("no-cache");
  });

  test.each(["/fleet", "/fleet/events", "/usage", "/v1/models"])(
    "what it shows asks for a key all the same: %s",
    async (path) => {
      const gateway = await gatewayFor(lockedFleet);
      expect((await fetch(gateway.address + path)).status).toBe(401);
    },
  );

  test("nothing in them is inline, and nothing comes from elsewhere", async () => {
    const gateway = await gatewayFor(fleetOf({}));
    const [page = "", script = "", style = ""] = await Promise.all(
      PATHS.map(async (path) => (await fetch(gateway.address + path)).text()),
    );
    expect(page).not.toMatch(/<style|style=|<script(?![^>]*\bsrc=)|\son\w+=/);
    expect([page, style].join()).not.toMatch(/https?:|\/\/[a-z]|@import|url\(/);
    // The names of SVG and MathML are no addresses that anybody opens.
    expect(script.replaceAll(/http:\/\/www\.w3\.org\/[\w/]+/g, "")).not.toMatch(/https?:\/\/[a-z]/);
    expect(script).not.toMatch(/\beval\(|new Function|innerHTML\s*=\s*[^=]*location/);
  });

  test("they are small: the script takes less than 24 KiB on the wire", async () => {
    const gateway = await gatewayFor(fleetOf({}));
    const client = new RawClient(gateway.address);
    client.send("GET /ui/app.js HTTP/1.1\r\nhost: localhost\r\naccept-encoding: br;q=0, gzip\r\n\r\n");
    await client.until("\r\n\r\n");
    expect(client.text).toContain("content-encoding: gzip");
    expect(Number(/content-length: (\d+)/i.exec(client.text)?.[1])).toBeLessThan(24 * 1024);
    client.leave();
  });

  test("zipped or not they are the same, and a browser that has them is told so", async () => {
    const gateway = await gatewayFor(fleetOf({}));
    const plain = await fetch(`${gateway.address}/ui/app.js`, { headers: { "accept-encoding": "gzip;q=0" } });
    expect(plain.headers.get("content-encoding")).toBeNull();
    const body = await plain.text();
    const zipped = await fetch(`${gateway.address}/ui/app.js`, { headers: { "accept-encoding": "gzip" } });
    expect(zipped.headers.get("content-encoding")).toBe("gzip");
    expect(await zipped.text()).toBe(body);
    const etag = plain.headers.get("etag") ?? "";
    const again = await fetch(`${gateway.address}/ui/app.js`, { headers: { "if-none-match": `W/${etag}` } });
    expect([again.status, await again.text()]).toEqual([304, ""]);
  });

  test("a slash at the end leads to the page, whose files lie beside it", async () => {
    const gateway = await gatewayFor(fleetOf({}));
    const response = await fetch(`${gateway.address}/ui/`, { redirect: "manual" });
    expect([response.status, response.headers.get("location")]).toEqual([308, "../ui"]);
  });

  test("another method and another name are refused as everywhere", async () => {
    const gateway = await gatewayFor(fleetOf({}));
    expect((await fetch(`${gateway.address}/ui`, { method: "POST" })).status).toBe(405);
    const client = new RawClient(gateway.address);
    client.send("GET /ui HTTP/1.1\r\nhost: evil.example\r\n\r\n");
    await client.until("host_not_allowed");
    client.leave();
  });
});
