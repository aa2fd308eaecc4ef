import { describe, expect, test } from "vitest";
import { toEngineRequest } from "../../../src/worker/external/engine-request.ts";

const mapped = (body: string, { servedAs = null as string | null, asksUsage = true } = {}) => {
  const { body: bytes, ...rest } = toEngineRequest(Buffer.from(body), { servedAs, asksUsage });
  return { text: bytes.toString("utf8"), ...rest };
};

describe("a body on its way to an external engine", () => {
  test("is not touched where nothing has to be", () => {
    const body = ' {"model" : "m",\n "seed": 12345678901234567890, "t": 1.00 } ';
    expect(mapped(body)).toEqual({ text: body, isStream: false, usageIsOurs: false });
  });

  test("has the engine's name for the model, and every other byte of the client's", () => {
    const body = '{"messages":[{"model":"m"}],"model":"m","seed":12345678901234567890}';
    expect(mapped(body, { servedAs: 'a"b' }).text).toBe(
      '{"messages":[{"model":"m"}],"model":"a\\"b","seed":12345678901234567890}',
    );
  });

  test.each([
    ['{"model":"m","stream":true}', '{"model":"m","stream":true,"stream_options":{"include_usage":true}}'],
    [
      '{"model":"m","stream":true } ',
      '{"model":"m","stream":true ,"stream_options":{"include_usage":true}} ',
    ],
    [
      '{"stream_options":{"x":1,"include_usage":false},"model":"m","stream":true}',
      '{"stream_options":{"x":1,"include_usage":true},"model":"m","stream":true}',
    ],
    [
      '{"stream_options":null,"model":"m","stream":true}',
      '{"stream_options":{"include_usage":true},"model":"m","stream":true}',
    ],
  ])("asks for the usage of the stream %s", (body, text) => {
    expect(mapped(body)).toEqual({ text, isStream: true, usageIsOurs: true });
    const both = mapped(body, { servedAs: "engine" });
    expect(JSON.parse(both.text)).toEqual({ ...(JSON.parse(text) as object), model: "engine" });
  });

  test("leaves a client's own wish for the usage to it", () => {
    const body = '{"model":"m","stream":true,"stream_options":{"include_usage":true}}';
    expect(mapped(body)).toEqual({ text: body, isStream: true, usageIsOurs: false });
  });

  test("asks for none where the engine knows no such wish", () => {
    const body = '{"model":"m","stream":true}';
    expect(mapped(body, { asksUsage: false })).toEqual({ text: body, isStream: true, usageIsOurs: false });
  });

  test.each(["[]", "{", "7"])("refuses %s", (body) => {
    expect(() => mapped(body)).toThrow("JSON");
  });
});
