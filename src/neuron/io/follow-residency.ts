import type { Clock } from "../../core/clock.ts";
import { present } from "../../core/present.ts";
import type { Discovery, ModelFact } from "../../protocol/neuron-api.ts";
import { EventFeed } from "../events/io/event-feed.ts";
import type { DeviceReading } from "../machine/describe-device.ts";
import type { GpuProbe } from "../machine/io/gpu-probe.ts";
import type { RestoredModel } from "../residency/assignment.ts";
import { describeHealth, describeModels, withoutLost } from "../residency/describe-residency.ts";
import type { ResidencyLoop } from "../residency/io/residency-loop.ts";

/** What is told on `GET /events`: from the moment that the devices are known. */
export function followResidency(neuron: {
  readonly clock: Clock;
  readonly loop: ResidencyLoop;
  readonly probe: GpuProbe;
  readonly startedMs: number;
  readonly facts: () => ModelFact[];
  readonly restored: readonly RestoredModel[];
  readonly discovery: Promise<Discovery>;
}): EventFeed {
  const { clock, loop, probe, startedMs, restored } = neuron;
  let discovery: Discovery | null = null;
  let readings: readonly DeviceReading[] = [];
  const feed = new EventFeed({
    clock,
    observe: () => {
      const uptimeMs = clock.monotonicMs() - startedMs;
      return {
        ...describeModels(loop.state),
        discovery: {
          ...withoutLost(present(discovery, "discovery"), loop.state.ledger),
          facts: neuron.facts(),
        },
        health: describeHealth(loop.state, { readings, uptimeMs, restored }),
        jobs: [...loop.state.jobs.values()],
      };
    },
    refreshReadings: async () => {
      readings = await probe.readings();
    },
  });
  let { generation, mode } = loop.state;
  loop.onChange(() => {
    const changed = loop.state.generation !== generation || loop.state.mode !== mode;
    ({ generation, mode } = loop.state);
    feed.noticeChange(changed);
  });
  const startFeed = async (): Promise<void> => {
    discovery = await neuron.discovery;
    readings = await probe.readings();
    feed.start();
  };
  void startFeed();
  return feed;
}
