import { Flags } from "@oclif/core";
import { FleetCommand } from "../cli/fleet-command.ts";
import { apiKeyFileFlag, configFlag, endpointFlag, neuronTokenFileFlag } from "../cli/flags/fleet-flags.ts";
import { explanationView } from "../cli/tables/requests-table.ts";
import { TopLines } from "../cli/top-lines.ts";
import { TopSession, type FollowedEvent, type TopSources } from "../cli/top-session.ts";
import type { LoopFacts } from "../cli/top/loop-news.ts";
import type { Change, TextAsked } from "../cli/top/top-state.ts";
import { planView } from "../cli/view/plan-view.ts";
import { whyView } from "../cli/view/why-view.ts";
import type { GatewayAccess } from "../client/io/ask-gateway.ts";
import { listenForShutdown } from "../platform/shutdown.ts";
import { systemClock } from "../platform/system-clock.ts";
import { applyFleetStateEvent, type FleetState } from "../protocol/gateway-api.ts";

const REQUESTS_SHOWN = 200;

interface TopFlags {
  readonly config: string;
  readonly gateway: string;
  readonly "api-key-file": string | undefined;
  readonly "neuron-token-file": string | undefined;
  readonly loop: string | undefined;
}

export default class TopCommand extends FleetCommand {
  static override summary = "the fleet live: neurons, memory, models, requests and events in a terminal";
  static override description =
    "Follows the gateway's events; where the fleet declares keys, the key must have the admin role. Drain, load and unload go to the neurons, after a question, and are drift. The plan and why a model is where it is are made from the fleet files of --config. Without a terminal what happens is printed line by line, with --json each event of the gateway.";
  static override examples = [
    "<%= config.bin %> top",
    "<%= config.bin %> top --gateway http://gateway:31313 --api-key-file ops.key --config fleet/",
    "<%= config.bin %> top | tee events.log       # no terminal: a line for each thing that happens",
    "<%= config.bin %> top --json | jq 'select(.kind == \"loads-changed\").loads'",
  ];
  static override flags = {
    config: configFlag,
    gateway: endpointFlag,
    "api-key-file": apiKeyFileFlag,
    "neuron-token-file": neuronTokenFileFlag,
    loop: Flags.string({
      env: "CORTEX_LOOP_URL",
      helpValue: "URL",
      summary:
        "where the reconcile loop listens (its --listen, or --reconcile-listen of serve): its state is shown too",
    }),
  };

  protected override readonly writesEvents = true;
  #fleet: FleetState | null = null;

  async run(): Promise<void> {
    const { flags } = await this.parse(TopCommand);
    const access = {
      baseUrl: flags.gateway.replace(/\/+$/, ""),
      apiKey: await this.readToken(flags["api-key-file"]),
      clock: systemClock,
    };
    const shutdown = listenForShutdown();
    try {
      const isLive = this.environment.liveScreen && process.stdin.isTTY && !this.jsonEnabled();
      if (isLive) await this.#session(flags, access, shutdown.first);
      else await this.#lines(access, shutdown.first);
    } finally {
      shutdown.dispose();
    }
  }

  async #session(flags: TopFlags, access: GatewayAccess, signal: AbortSignal): Promise<void> {
    const { stdout, stdin } = process;
    const { colour, unicode } = this.environment;
    await new TopSession({
      sources: this.#sources(flags, access),
      terminal: {
        write: (text) => stdout.write(text),
        size: () => ({ columns: stdout.columns, rows: stdout.rows }),
      },
      input: stdin,
      onResize: (listener) => {
        stdout.on("resize", listener);
        return () => stdout.off("resize", listener);
      },
      look: { colour, unicode },
      clock: systemClock,
      signal,
    }).run();
  }

  async #lines(access: GatewayAccess, signal: AbortSignal): Promise<void> {
    const lines = new TopLines(() => systemClock.nowMs());
    for await (const told of this.#follow(access, signal)) {
      const texts = this.jsonEnabled()
        ? [JSON.stringify(told.kind === "fleet-told" ? told.event : told)]
        : lines.linesOf(told);
      for (const text of texts) process.stdout.write(`${text}\n`);
    }
  }

  async *#follow(access: GatewayAccess, signal: AbortSignal): AsyncGenerator<FollowedEvent> {
    const { followFleet } = await import("../client/io/follow-fleet.ts");
    for await (const told of followFleet({ ...access, signal })) {
      if (told.kind === "fleet-told") this.#fleet = applyFleetStateEvent(this.#fleet, told.event);
      yield told;
    }
  }

  #sources(flags: TopFlags, access: GatewayAccess): TopSources {
    return {
      follow: (signal) => this.#follow(access, signal),
      requests: async () => {
        const { readRequests } = await import("../client/io/read-requests.ts");
        return (await readRequests(access, REQUESTS_SHOWN)).requests;
      },
      sync: async () => {
        const { readSync } = await import("../controller/history/io/read-sync.ts");
        const [sync, loop] = await Promise.all([
          readSync({ path: flags.config }, this.environment),
          this.#loop(flags),
        ]);
        return sync === null ? null : { ...sync, loop };
      },
      text: (of) => this.#text(of, flags, access),
      change: (change, onBegun) => this.#change(change, flags, onBegun),
    };
  }

  /** That it may change nothing is said of it first: every loop of the fleet is held back alike. */
  async #loop(flags: TopFlags): Promise<LoopFacts | null> {
    const { lookForHold } = await import("../controller/reconcile/io/look-for-hold.ts");
    const hold = await lookForHold({ path: flags.config }, this.environment, systemClock.nowMs());
    if (hold !== undefined) return { kind: "held", ...hold };
    if (flags.loop === undefined) return null;
    const [{ readLoop }, { loopFactsOf }] = await Promise.all([
      import("../client/io/read-loop.ts"),
      import("../cli/top/loop-news.ts"),
    ]);
    const baseUrl = flags.loop.replace(/\/+$/, "");
    return readLoop({ baseUrl }, systemClock).then(loopFactsOf, () => ({
      kind: "silent",
      message: `nothing answers at ${baseUrl}`,
    }));
  }

  // oxlint-disable-next-line max-params -- what, of which fleet, asked where
  async #text(of: TextAsked, flags: TopFlags, access: GatewayAccess): Promise<string> {
    const look = { colour: this.environment.colour };
    if (of.kind === "request") {
      const { readRequest } = await import("../client/io/read-requests.ts");
      return explanationView(await readRequest(access, of.id)).human(look);
    }
    const [{ makePlan, readPlanInput }, { planDeps }] = await Promise.all([
      import("../controller/plan/io/make-plan.ts"),
      import("../controller/plan/io/plan-deps.ts"),
    ]);
    const view = {
      path: flags.config,
      gatewayUrl: access.baseUrl,
      apiKey: () => Promise.resolve(access.apiKey),
      neuronAccess: () => this.neuronAccess(flags["neuron-token-file"]),
    };
    const deps = planDeps(systemClock, this.environment);
    if (of.kind === "plan") return planView(await makePlan(view, deps), { markdown: false }).human(look);
    const { whyModel } = await import("../controller/plan/why-model.ts");
    return whyView(whyModel(await readPlanInput(view, deps), { modelId: of.model })).human(look);
  }

  // oxlint-disable-next-line max-params -- what, with whose token, and who is told
  async #change(change: Change, flags: TopFlags, onBegun: () => void): Promise<string> {
    const { changeByHand } = await import("../controller/apply/io/change-by-hand.ts");
    const neuronAccess = await this.neuronAccess(flags["neuron-token-file"]);
    return changeByHand(change, this.#fleet, { clock: systemClock, neuronAccess, onBegun });
  }
}
