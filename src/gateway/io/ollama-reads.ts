import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { parseJsonBody } from "../../platform/http-server.ts";
import type { GatewayVersion, ModelEntry } from "../../protocol/gateway-api.ts";
import { readRequest } from "../dialect/contract/read-request.ts";
import { MANAGEMENT_ROUTES, notManagedHere } from "../dialect/ollama/management.ts";
import { knownName } from "../dialect/ollama/model-name.ts";
import { OLLAMA_VERSION, toRunning, toShown, toTags } from "../dialect/ollama/model-views.ts";
import { namedModelSchema } from "../dialect/ollama/ollama-shape.ts";
import { requireJsonType } from "../front/request-facts.ts";
import { answerOtherMethods, type EdgeDeps } from "./client-edge.ts";

export interface OllamaReadDeps {
  readonly edge: EdgeDeps;
  readonly version: GatewayVersion;
  /** What may be asked by whoever asks. */
  readonly entriesFor: (request: FastifyRequest) => readonly ModelEntry[];
  readonly unknownModel: (id: string, offered: readonly string[]) => Error;
}

/** What clients of Ollama ask about models, and what they would do with them. */
export function registerOllamaReads(server: FastifyInstance, deps: OllamaReadDeps): void {
  const { edge, entriesFor, version } = deps;
  const read = (path: string, answer: (request: FastifyRequest) => unknown) => {
    server.get(path, (request, reply) => reply.send(answer(request)));
    answerOtherMethods(server, path, { allowed: "GET, HEAD", deps: edge });
  };
  read("/api/version", () => ({ version: OLLAMA_VERSION, cortex: version.package_version }));
  read("/api/tags", (request) => toTags(entriesFor(request)));
  read("/api/ps", (request) => toRunning(entriesFor(request)));
  server.post("/api/show", (request, reply) => reply.send(toShown(namedEntry(request, deps))));
  answerOtherMethods(server, "/api/show", { allowed: "POST", deps: edge });
  for (const route of MANAGEMENT_ROUTES) {
    server.route({
      method: route.method,
      url: route.path,
      handler: (request, reply) => {
        if (route.path === "/api/pull" && isOffered(request, deps)) return sendDone(reply);
        throw notManagedHere(route);
      },
    });
    answerOtherMethods(server, route.path, { allowed: route.method, deps: edge });
  }
}

/** Some clients pull whatever they use: there is nothing to fetch for what is offered. */
const sendDone = (reply: FastifyReply) =>
  reply.header("content-type", "application/x-ndjson").send('{"status":"success"}\n');

function modelNamed(request: FastifyRequest, entries: readonly ModelEntry[]): string {
  requireJsonType(request.headers["content-type"]);
  const { model } = readRequest(namedModelSchema, parseJsonBody(request.body));
  return knownName(model, (name) => entries.some(({ id }) => id === name));
}

function isOffered(request: FastifyRequest, { entriesFor }: OllamaReadDeps): boolean {
  const entries = entriesFor(request);
  const name = modelNamed(request, entries);
  return entries.some(({ id }) => id === name);
}

function namedEntry(request: FastifyRequest, { entriesFor, unknownModel }: OllamaReadDeps): ModelEntry {
  const entries = entriesFor(request);
  const name = modelNamed(request, entries);
  const entry = entries.find(({ id }) => id === name);
  if (entry !== undefined) return entry;
  throw unknownModel(
    name,
    entries.map(({ id }) => id),
  );
}
