import { X509Certificate } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { expect, test } from "vitest";
import { systemClock } from "../../src/platform/system-clock.ts";
import { createNeuronClient } from "../../src/protocol/io/neuron-client.ts";
import { startAuthorityServer } from "../../src/trust/io/authority-server.ts";
import { Authority } from "../../src/trust/io/authority.ts";
import { readIdentity, writePrivately } from "../../src/trust/io/identity-file.ts";
import { renewed, takeUp } from "../../src/trust/io/join.ts";
import { Member } from "../../src/trust/io/member.ts";
import { openNeuronAccess } from "../../src/trust/io/neuron-access.ts";
import { authoritiesOf, fingerprintOf, signerAmong } from "../../src/trust/read-certificate.ts";
import { startTestNeuron } from "../support/neuron/neuron-under-test.ts";

const deps = { clock: systemClock, logger: pino({ level: "silent" }) };

/** An authority that answers, and a neuron that has joined it. */
async function circle() {
  const stack = new AsyncDisposableStack();
  const root = await mkdtemp(join(tmpdir(), "cortex-exchange-"));
  stack.defer(() => rm(root, { recursive: true, force: true }));
  const place = { clock: systemClock, address: "127.0.0.1:0", fallback: "127.0.0.1:0" };
  const authority = await Authority.openOrMake(join(root, "authority"), place);
  const server = await startAuthorityServer(authority, deps);
  stack.defer(() => server.close());
  const { token } = await authority.invite("beast", { role: "neuron", lifeMs: 60_000 });
  const address = `${server.address.host}:${server.address.port}`;
  const path = join(root, "beast.json");
  await writePrivately(path, await takeUp({ ...token, address }, systemClock));
  const member = await Member.open(path, deps);
  if (member === null) throw new Error("it has not joined");
  const neuron = stack.use(await startTestNeuron({ member }));
  const endpoint = neuron.base.replace("http:", "https:");
  return {
    authority,
    member,
    identity: async () => {
      const identity = await readIdentity(path);
      if (identity === null) throw new Error("it has no identity");
      return identity;
    },
    /** What a command beside the authority gets of the neuron. */
    call: async (): Promise<string> => {
      const opened = await openNeuronAccess({ ...deps, dataDirectory: root, token: undefined });
      const client = createNeuronClient(
        { name: "beast", endpoint },
        { clock: systemClock, access: opened.access, callTimeoutMs: 5000 },
      );
      try {
        return (await client.discovery()).hostname === "" ? "nobody" : "served";
      } finally {
        await client.destroy();
        opened.close();
      }
    },
    awaited: async () => (await authority.awaited()).map(({ name }) => name),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

test("an authority is exchanged in three steps, and everybody who makes them is served all the while", async () => {
  await using fleet = await circle();
  const { authority, member } = fleet;
  const first = authority.fingerprint;
  const before = await fleet.identity();
  const steps = ["introduced", "switched", "none"] as const;
  for (const step of steps) {
    expect(await fleet.call()).toBe("served");
    expect(await authority.exchangeOn()).toBe(step);
    // Commands go on at once, before the neuron has heard of anything.
    expect(await fleet.call()).toBe("served");
    expect(await fleet.awaited()).toEqual(["beast"]);
    await member.renew();
    expect(await fleet.awaited()).toEqual([]);
  }
  expect(await fleet.call()).toBe("served");
  const after = await fleet.identity();
  expect(authority.fingerprint).not.toBe(first);
  expect(authoritiesOf(after.authority).map(fingerprintOf)).toEqual([authority.fingerprint]);
  expect(signerAmong(after.authority, new X509Certificate(after.certificate))).toBe(0);
  // What only the old authority signed is worth nothing any more.
  expect(signerAmong(after.authority, new X509Certificate(before.certificate))).toBe(-1);
  await expect(
    renewed({ ...before, authority: `${before.authority}\n${after.authority}` }, systemClock),
  ).rejects.toMatchObject({
    code: "certificate_refused",
  });
});

test("who has slept through the first two steps renews while the old authority is trusted, and has to join again after", async () => {
  await using fleet = await circle();
  const asleep = await fleet.identity();
  await fleet.authority.exchangeOn();
  await fleet.authority.exchangeOn();
  const awake = await renewed(asleep, systemClock);
  expect(signerAmong(awake.authority, new X509Certificate(awake.certificate))).toBe(0);
  expect(authoritiesOf(awake.authority)).toHaveLength(2);
  await fleet.authority.exchangeOn();
  await expect(renewed(asleep, systemClock)).rejects.toThrow(/./);
});

test("a neuron renews by itself when it hears of an exchange", async () => {
  await using fleet = await circle();
  await fleet.authority.exchangeOn();
  fleet.member.start();
  await expect.poll(() => fleet.awaited()).toEqual([]);
  await fleet.member.close();
});

test("a revocation goes on to count across an exchange", async () => {
  await using fleet = await circle();
  await fleet.authority.exchangeOn();
  await fleet.member.renew();
  await fleet.authority.exchangeOn();
  await fleet.authority.revoke("beast");
  await expect(fleet.call()).rejects.toThrow(/./);
  await expect(fleet.member.renew()).rejects.toMatchObject({ code: "certificate_refused" });
});
