import fc from "fast-check";
import { expect, test } from "vitest";
import { LocalPlaces, mayTake } from "../../../src/gateway/crew/local-places.ts";

const KEY = "neuron model";

/**
 * What a worker and its owner do, in any order: the worker takes and frees, and sends what it did; the owner reads a batch,
 * and speaks of what it knows; its word comes late.
 */
const doing = fc.constantFrom("take", "free", "send", "read", "speak", "hear");

test("what a worker counts is what the owner said and what it had not read by then, and in the end the truth", () => {
  fc.assert(
    fc.property(fc.array(doing, { maxLength: 80 }), fc.nat(5), (doings, others) => {
      const places = new LocalPlaces();
      const batches: { number: number; change: number }[] = [];
      const words: { read: number; told: ReadonlyMap<string, number> }[] = [];
      let [held, unsent, sent, read, owners, heard] = [0, 0, 0, 0, others, 0];
      let takenSince: number[] = [];
      const speak = () => words.push({ read, told: new Map([[KEY, owners]]) });
      const hear = () => {
        const word = words.shift();
        if (word === undefined) return;
        places.heard(word.read, word.told);
        heard = word.read;
      };
      const acts = {
        take: () => {
          places.taken(KEY);
          held += 1;
          unsent += 1;
          takenSince.push(sent + 1);
        },
        free: () => {
          if (held === 0) return;
          places.freed(KEY);
          held -= 1;
          unsent -= 1;
        },
        send: () => {
          sent += 1;
          places.sent(sent);
          batches.push({ number: sent, change: unsent });
          unsent = 0;
        },
        read: () => {
          const batch = batches.shift();
          if (batch === undefined) return;
          owners += batch.change;
          read = batch.number;
        },
        speak,
        hear,
      };
      speak();
      hear();
      for (const act of doings) {
        acts[act]();
        takenSince = takenSince.filter((batch) => batch > heard);
        expect(places.unknownAt(KEY)).toBe(takenSince.length);
        expect(places.counts.get(KEY) ?? 0).toBeGreaterThanOrEqual(0);
      }
      acts.send();
      while (batches.length > 0) acts.read();
      speak();
      while (words.length > 0) hear();
      expect(places.counts.get(KEY) ?? 0).toBe(others + held);
      expect(places.unknownAt(KEY)).toBe(0);
    }),
  );
});

test("workers that take by the same word of the owner leave half of what was free, however many they are", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 500 }), fc.integer({ min: 2, max: 64 }), (free, workers) => {
      let taken = 0;
      for (let worker = 0; worker < workers; worker += 1) {
        let unknown = 0;
        while (mayTake({ free: free - unknown, unknown, workers })) unknown += 1;
        taken += unknown;
      }
      expect(taken).toBeLessThanOrEqual(free / 2);
    }),
  );
});
