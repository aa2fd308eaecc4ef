import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { createNeuronLease } from "../../../src/controller/lock/io/neuron-lease.ts";
import { systemClock } from "../../../src/platform/system-clock.ts";
import { temporaryDirectory } from "../../support/fleet/fleet-on-disk.ts";
import { startTestNeuron, type TestNeuron } from "../../support/neuron/neuron-under-test.ts";
import { ScriptedNeuron } from "../../support/neuron/scripted-neuron.ts";
import { observedNeuron } from "../observed-fleet-builders.ts";
import {
  closing,
  failureOf,
  type LockPlace,
  locksAsPromised,
  lossOf,
  recordOf,
  take,
} from "./lock-contract.ts";

interface Neurons extends LockPlace {
  readonly neurons: readonly TestNeuron[];
}

/** Real neurons, each with a state of its own. */
async function neuronsThatKeepLeases(count: number): Promise<Neurons> {
  const stack = new AsyncDisposableStack();
  const neurons: TestNeuron[] = [];
  for (let index = 0; index < count; index += 1) {
    const { path } = stack.use(await temporaryDirectory());
    neurons.push(stack.use(await startTestNeuron({ stateDirectory: join(path, "neuron") })));
  }
  const called = neurons.map(({ base }, index) => ({ name: `n${index}`, endpoint: base }));
  return {
    neurons,
    open: () =>
      Promise.resolve(
        createNeuronLease({ fleet: "test", neurons: called, clock: systemClock, access: undefined }),
      ),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

describe("a lease on three neurons", () => {
  locksAsPromised(() => neuronsThatKeepLeases(3));
});

describe("a lease on one neuron", () => {
  locksAsPromised(() => neuronsThatKeepLeases(1));
});

describe("a lease on neurons that go away", () => {
  test("holds as long as most of them answer, and not with fewer", async () => {
    await using place = await neuronsThatKeepLeases(3);
    const [first, second] = place.neurons;
    await first?.neuron.close({ drainTimeoutMs: 0 });
    const held = await take(await place.open("ann"), "ann", { ttlMs: 2000 });
    expect((await failureOf(take(await place.open("bob"), "bob"))).code).toBe("lock_held");
    await second?.neuron.close({ drainTimeoutMs: 0 });
    const refused = await failureOf(take(await place.open("bob"), "bob"));
    expect([refused.code, refused.message]).toEqual([
      "lock_unreachable",
      "1 of the 3 neurons of test answer, and the lock is kept by 2 of them at least",
    ]);
    // The holder begins nothing new from then on.
    await lossOf(held);
    expect(held.lost.reason).toMatchObject({ code: "lock_lost" });
  }, 30_000);

  test("a lease that is only on a neuron that is left of a majority is taken for held, until it is seen not to move", async () => {
    await using place = await neuronsThatKeepLeases(3);
    const store = await place.open("ann");
    expect(await store.swap(undefined, recordOf({ ttl_ms: 600 }))).toBeDefined();
    await place.neurons[0]?.neuron.close({ drainTimeoutMs: 0 });
    const next = await take(await place.open("bob"), "bob", { waitMs: 10_000 });
    expect(next.epoch).toBe(2);
    await next.release(closing("done"));
  }, 30_000);

  test("a neuron that comes back with an old lease does not have a say against the others", async () => {
    await using place = await neuronsThatKeepLeases(3);
    const store = await place.open("ann");
    const stray = {
      expected: null,
      token: "0123456789abcdef",
      record: recordOf({ epoch: 9, id: "00000009" }),
    };
    const answer = await place.neurons[0]?.call("/leases/test", { json: stray });
    expect(answer?.body).toMatchObject({ taken: true });
    expect(await store.read()).toEqual({ token: undefined, record: undefined, lastEpoch: 0 });
    const held = await take(store, "ann");
    expect((await store.read()).record?.id).toBe(held.record.id);
    await held.release(closing("done"));
  });
});

test("neurons of an older cortex keep none, and say so", async () => {
  await using neuron = await ScriptedNeuron.start(observedNeuron("a", { devices: [8000] }));
  const neurons = [{ name: "a", endpoint: neuron.endpoint }];
  const store = createNeuronLease({ fleet: "test", neurons, clock: systemClock, access: undefined });
  expect((await failureOf(store.read())).code).toBe("leases_not_kept");
});

describe("a neuron's register of leases", () => {
  test("outlives a restart, has its token asked for, and counts epochs of changes too", async () => {
    await using state = await temporaryDirectory();
    const config = { stateDirectory: join(state.path, "neuron"), token: "t0ken" };
    const headers = { authorization: "Bearer t0ken" };
    const lease = {
      expected: null,
      token: "0123456789abcdef",
      record: recordOf({ epoch: 4 }),
      last_epoch: 4,
    };
    {
      await using neuron = await startTestNeuron(config);
      expect((await neuron.call("/leases/test", { json: lease })).status).toBe(401);
      expect((await neuron.call("/leases/test", { json: lease, headers })).body).toMatchObject({
        taken: true,
      });
      expect((await neuron.call("/leases/test", { json: lease, headers })).body).toMatchObject({
        taken: false,
      });
      const epoch = { ...headers, "cortex-epoch": "7", "cortex-fleet": "test" };
      await neuron.unload({ model_id: "none" }, epoch);
    }
    await using again = await startTestNeuron(config);
    expect((await again.call("/leases/test", { headers })).body).toMatchObject({
      token: lease.token,
      record: { epoch: 4 },
      last_epoch: 7,
    });
    expect((await again.call("/leases", { headers })).body).toMatchObject({ leases: [{ fleet: "test" }] });
  });

  test.each([
    ["/leases/Not%20a%20name", { expected: null, token: null, record: null }],
    ["/leases/test", { expected: null, token: "0123456789abcdef", record: null }],
    ["/leases/test", { expected: 1 }],
  ])("%s refuses %j", async (path, json) => {
    await using neuron = await startTestNeuron();
    expect((await neuron.call(path, { json })).status).toBe(422);
  });

  test("a file that holds none stops the start", async () => {
    await using state = await temporaryDirectory();
    await writeFile(join(state.path, "leases.json"), "{}\n");
    await expect(startTestNeuron({ stateDirectory: state.path })).rejects.toThrow("does not hold leases");
  });
});
