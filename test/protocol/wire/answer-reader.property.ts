import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { runsOf } from "../../support/long-runs.ts";
import { readAlone, Reading } from "../../support/wire/answer-reading.ts";
import { anyBody, cutAt, eachByte, rawAnswer, spoiltAnswer } from "../../support/wire/raw-answers.ts";

const places = fc.array(fc.nat(), { maxLength: 12 });
const kept = rawAnswer.filter(({ framed }) => framed.ends === "itself");

describe("answers as they should be", () => {
  test("law: whatever the pieces, an answer is told as it was meant, and its end once", () => {
    fc.assert(
      fc.property(rawAnswer, places, (meant, cuts) => {
        const { framed } = meant;
        const expected = {
          status: meant.status,
          body: meant.body,
          trailers: framed.trailers,
          ends: 1,
          keeps: framed.ends === "itself",
          failure: null,
        };
        for (const pieces of [[meant.bytes], cutAt(meant.bytes, cuts), eachByte(meant.bytes)]) {
          const told = readAlone(pieces);
          expect(told).toMatchObject(expected);
          expect(told.headers).toMatchObject(meant.headers);
          expect(told.pieces).toBeLessThanOrEqual(pieces.length);
        }
      }),
      { numRuns: runsOf({ ci: 300, fuzz: 20_000 }) },
    );
  });

  test("law: several after one another, on one connection", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(kept, places), { minLength: 2, maxLength: 5 }), (answers) => {
        const reading = new Reading();
        for (const [meant, cuts] of answers) {
          reading.expect();
          const told = reading.read(cutAt(meant.bytes, cuts));
          expect(told).toMatchObject({
            status: meant.status,
            body: meant.body,
            ends: 1,
            keeps: true,
            failure: null,
          });
          expect(told.trailers).toEqual(meant.framed.trailers);
        }
      }),
      { numRuns: runsOf({ ci: 100, fuzz: 5000 }) },
    );
  });

  test("law: bytes behind an answer are nobody's, and the connection is not used again", () => {
    fc.assert(
      fc.property(
        kept,
        fc.oneof(
          anyBody,
          kept.map(({ bytes }) => bytes),
        ),
        places,
        (meant, more, cuts) => {
          fc.pre(more.length > 0);
          const reading = new Reading();
          reading.expect();
          const refused = cutAt(Buffer.concat([meant.bytes, more]), cuts)
            .map((piece) => ({ wasOver: reading.told.ends > 0, isTaken: reading.push(piece) }))
            .filter(({ isTaken }) => !isTaken);
          expect(refused.every(({ wasOver }) => wasOver)).toBe(true);
          expect(reading.told).toMatchObject({ status: meant.status, body: meant.body, ends: 1 });
          expect(reading.told.keeps && refused.length === 0).toBe(false);
        },
      ),
      { numRuns: runsOf({ ci: 200, fuzz: 10_000 }) },
    );
  });

  test.each([
    { what: "a head", before: "HTTP/1.1 200 OK\r\nx: ", after: "\r\ncontent-length: 0", start: "HTTP" },
    {
      what: "trailers",
      before: "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\nx: ",
      after: "",
      start: "\r\nx: ",
    },
  ])(
    "$what of the largest size is taken, and of one byte more refused, whatever the pieces",
    ({ before, after, start }) => {
      const counted = before.length - before.indexOf(start) + after.length;
      const sized = (bytes: number) => Buffer.from(`${before}${"y".repeat(bytes - counted)}${after}\r\n\r\n`);
      for (const [bytes, failure] of [
        [32 * 1024, null],
        [32 * 1024 + 1, "malformed"],
      ] as const) {
        const whole = sized(bytes);
        const nearEnd = [1, 2, 3, 4].map((left) => cutAt(whole, [whole.length - left]));
        for (const pieces of [[whole], cutAt(whole, [5000, 30_000]), ...nearEnd]) {
          expect(readAlone(pieces).failure).toBe(failure);
        }
      }
    },
  );
});

describe("answers that are spoilt", () => {
  test("law: the same is told and refused whatever the pieces, and nothing else is thrown", () => {
    fc.assert(
      fc.property(spoiltAnswer, places, (bytes, cuts) => {
        const whole = readAlone([bytes]);
        for (const pieces of [cutAt(bytes, cuts), eachByte(bytes)]) {
          const told = readAlone(pieces);
          // Whether more stands behind it is seen only where that comes with it.
          expect({ ...told, pieces: 0, keeps: false }).toEqual({ ...whole, pieces: 0, keeps: false });
        }
        expect(whole.ends === 1).toBe(whole.failure === null);
      }),
      { numRuns: runsOf({ ci: 500, fuzz: 50_000 }) },
    );
  });

  test.each([
    ["no size", "\r\nabc\r\n0\r\n\r\n"],
    ["a size in other letters", "g\r\nabc\r\n0\r\n\r\n"],
    ["a size with a sign", "+3\r\nabc\r\n0\r\n\r\n"],
    ["a size as programs write it", "0x3\r\nabc\r\n0\r\n\r\n"],
    ["a blank behind the size", "3 \r\nabc\r\n0\r\n\r\n"],
    ["a blank before the size", " 3\r\nabc\r\n0\r\n\r\n"],
    ["a size of too many digits", "000000003\r\nabc\r\n0\r\n\r\n"],
    ["a size that ends with LF", "3\nabc\r\n0\r\n\r\n"],
    ["a size that ends with CR", "3\rabc\r\n0\r\n\r\n"],
    ["an extension with LF", "3;a\nabc\r\n0\r\n\r\n"],
    ["an extension with a bare CR", "3;a\rb\r\nabc\r\n0\r\n\r\n"],
    ["an extension with NUL", "3;\0\r\nabc\r\n0\r\n\r\n"],
    ["an extension without an end", `3;${"a".repeat(1025)}\r\nabc\r\n0\r\n\r\n`],
    ["more than its size", "3\r\nabcd\r\n0\r\n\r\n"],
    ["less than its size", "3\r\nab\r\n0\r\n\r\n"],
    ["another character for CR behind it", "3\r\nabcX\n0\r\n\r\n"],
    ["another character for LF behind it", "3\r\nabc\rX0\r\n\r\n"],
    ["LF alone behind it", "3\r\nabc\n0\r\n\r\n"],
    ["an end of LF alone", "3\r\nabc\r\n0\n\n"],
    ["a folded trailer", "0\r\nx: 1\r\n 2\r\n\r\n"],
    ["a trailer without a colon", "0\r\nx\r\n\r\n"],
  ])("chunks: %s", (_what, sent) => {
    const bytes = Buffer.from(`HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n${sent}`);
    for (const pieces of [[bytes], eachByte(bytes)]) {
      expect(readAlone(pieces)).toMatchObject({ ends: 0, failure: "malformed" });
    }
  });

  test.each([
    ["a change of protocol", "HTTP/1.1 101 Switching\r\nupgrade: x\r\n\r\n"],
    ["bytes before the first line", "\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"],
  ])("%s is refused", (_what, text) => {
    expect(readAlone([Buffer.from(text)])).toMatchObject({ status: null, ends: 0, failure: "malformed" });
  });
});
