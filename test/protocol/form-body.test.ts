import { describe, expect, test } from "vitest";
import { isForm, modelOfForm, modelSpansOfForm } from "../../src/protocol/openai/form-body.ts";
import { replaceBytes } from "../../src/protocol/openai/replace-values.ts";

async function formOf(fields: readonly (readonly [string, string | Blob])[]) {
  const form = new FormData();
  for (const [name, value] of fields) {
    if (typeof value === "string") form.append(name, value);
    else form.append(name, value, "model");
  }
  const written = new Response(form);
  return {
    body: Buffer.from(await written.arrayBuffer()),
    type: written.headers.get("content-type") ?? "",
  };
}

describe("a form as clients write it", () => {
  test("names its model, whatever else is in it; a file is no field", async () => {
    const noise = new Blob([
      Buffer.from('\r\n--x\r\ncontent-disposition: form-data; name="model"\r\n\r\nfake\r\n'),
    ]);
    const { body, type } = await formOf([
      ["model", noise],
      ["file", noise],
      ["prompt", "model"],
      ["model", "org/ünser"],
      ["language", "en"],
    ]);
    expect(isForm(type)).toBe(true);
    expect(modelOfForm(body, type)).toBe("org/ünser");
    const renamed = replaceBytes(body, modelSpansOfForm(body, type), Buffer.from("theirs"));
    const read = await new Response(new Uint8Array(renamed), {
      headers: { "content-type": type },
    }).formData();
    expect(read.getAll("model").filter((value) => typeof value === "string")).toEqual(["theirs"]);
    expect(read.get("prompt")).toBe("model");
    expect((read.get("file") as File).size).toBe(noise.size);
  });

  test("the last of two names counts, and both are replaced", async () => {
    const { body, type } = await formOf([
      ["model", "a"],
      ["model", "b"],
    ]);
    expect(modelOfForm(body, type)).toBe("b");
    expect(modelSpansOfForm(body, type)).toHaveLength(2);
  });

  test("no model, and an empty one", async () => {
    const none = await formOf([["prompt", "x"]]);
    expect(modelOfForm(none.body, none.type)).toBeUndefined();
    const empty = await formOf([["model", ""]]);
    expect(modelOfForm(empty.body, empty.type)).toBe("");
  });
});

test.each([
  [
    'multipart/form-data; boundary="a b"',
    "--a b\r\nContent-Disposition: form-data; name=model\r\n\r\nm\r\n--a b--",
  ],
  [
    "Multipart/Form-Data; charset=utf-8; boundary=b",
    'preamble\r\n--b\r\ncontent-disposition: form-data; name="model"\r\n\r\nm\r\n--b--\r\n',
  ],
])("%s is read", (type, body) => {
  expect(modelOfForm(Buffer.from(body), type)).toBe("m");
});

test.each([
  ["no boundary", "multipart/form-data", "--b--"],
  ["another boundary", "multipart/form-data; boundary=c", "--b--"],
  [
    "no end",
    "multipart/form-data; boundary=b",
    '--b\r\ncontent-disposition: form-data; name="model"\r\n\r\nm',
  ],
  ["no end of a head", "multipart/form-data; boundary=b", "--b\r\ncontent-disposition: form-data"],
  ["nothing", "multipart/form-data; boundary=b", ""],
  ["too many parts", "multipart/form-data; boundary=b", `${"--b\r\n\r\n\r\n\r\n".repeat(300)}--b--`],
])("%s is refused", (_what, type, body) => {
  expect(() => modelSpansOfForm(Buffer.from(body), type)).toThrow(
    expect.objectContaining({ code: "invalid_request_body" }),
  );
});

test.each([undefined, "application/json", "multipart/mixed; boundary=b", "text/plain"])(
  "%s is no form",
  (type) => {
    expect(isForm(type)).toBe(false);
  },
);
