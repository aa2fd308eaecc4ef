import type { FastifyInstance, FastifyRequest } from "fastify";
import { CortexError } from "../../core/errors.ts";
import { parseJsonBody } from "../../platform/http-server.ts";
import {
  FLEET_NAME,
  leaseSwapSchema,
  type LeaseAnswer,
  type NeuronLease,
} from "../../protocol/refs/neuron-lease.ts";
import type { LeaseRegister } from "../residency/io/lease-register.ts";
import type { ResidencyLoop } from "../residency/io/residency-loop.ts";

/** The lock of a fleet where it is kept by the neurons: read by everybody, changed on condition of what was read. */
export function addLeaseRoutes(
  server: FastifyInstance,
  { leases, loop }: { readonly leases: LeaseRegister; readonly loop: ResidencyLoop },
): void {
  const withEpoch = (lease: NeuronLease): NeuronLease => {
    const obeyed = loop.state.epochs.get(lease.fleet) ?? 0;
    return { ...lease, last_epoch: Math.max(lease.last_epoch, obeyed) };
  };
  server.get("/leases", () => ({ leases: leases.all().map(withEpoch) }));
  server.get<FleetRoute>("/leases/:fleet", (request) => withEpoch(leases.of(fleetOf(request))));
  const swap = async (request: FastifyRequest<FleetRoute>): Promise<LeaseAnswer> => {
    const parsed = leaseSwapSchema.safeParse(parseJsonBody(request.body));
    if (!parsed.success) {
      const [issue] = parsed.error.issues;
      const param = issue?.path.join(".") ?? "";
      const message = `${param === "" ? "body" : param}: ${issue?.message ?? "no change of a lease"}`;
      throw new CortexError("invalid_request_body", message, { param });
    }
    const { taken, lease } = await leases.swap(fleetOf(request), parsed.data);
    return { taken, lease: withEpoch(lease) };
  };
  server.post<FleetRoute>("/leases/:fleet", (request) => swap(request));
}

interface FleetRoute {
  readonly Params: { readonly fleet: string };
}

function fleetOf({ params }: FastifyRequest<FleetRoute>): string {
  if (FLEET_NAME.test(params.fleet)) return params.fleet;
  throw new CortexError("invalid_request_body", "that is no name of a fleet", { param: "fleet" });
}
