import { readEnvironment } from "../../platform/environment.ts";
import { createLogger } from "../../platform/logger.ts";
import { modelScriptSchema } from "../../protocol/worker-messages.ts";
import {
  supervisorMessageSchema,
  type WorkerMessage,
  type WorkerStart,
} from "../../protocol/worker-messages.ts";
import { createScriptedServer } from "../scripted/io/scripted-server.ts";
import { listenOnSocket } from "./worker-socket.ts";

/** The worker of a model of a simulated neuron that a script answers for. It ends with its neuron. */
const logger = createLogger({ name: "worker", level: readEnvironment().logLevel ?? "info" });

const DEFAULT_CONTEXT_TOKENS = 32_768;

const send = (message: WorkerMessage): void => {
  process.send?.(message);
};

async function start(message: WorkerStart): Promise<void> {
  const script = message.script ?? modelScriptSchema.parse({});
  const crash = (): void => {
    logger.error("the script wants a crash");
    process.kill(process.pid, "SIGSEGV");
  };
  const server = createScriptedServer({ modelId: message.model_id, script, crash }, logger);
  await listenOnSocket(server, message.socket_path);
  const context = message.context ?? DEFAULT_CONTEXT_TOKENS;
  send({
    kind: "model-loaded",
    facts: {
      context_tokens: context,
      trained_context_tokens: context,
      max_output_tokens: context,
      capabilities: ["text", "tools"],
      tool_call: true,
      reasoning: script.answers.some(({ reasoning }) => reasoning !== ""),
      memory_bytes: 0,
      parallel: message.parallel,
      architecture: "scripted",
      parameter_count: null,
    },
  });
}

process.on("message", (received) => {
  const parsed = supervisorMessageSchema.safeParse(received);
  if (parsed.success && parsed.data.kind === "start-worker") void start(parsed.data);
  else process.exit(0);
});
process.on("disconnect", () => process.exit(0));
process.on("SIGINT", () => undefined);
process.umask(0o077);
