import { pino, type Logger as PinoLogger } from "pino";

export type Logger = PinoLogger;

/**
 * Structured lines on stderr, so that stdout stays the command's own output.
 * Prompts and credentials are never passed to it; the redaction is a second wall, not the first.
 */
export function createLogger(options: { readonly name: string; readonly level: string }): Logger {
  const destination = pino.destination({ fd: 2, sync: true });
  // Whoever read the log has gone: the service goes on.
  destination.on("error", () => undefined);
  return pino(
    {
      name: options.name,
      level: options.level,
      base: { name: options.name },
      timestamp: pino.stdTimeFunctions.isoTime,
      redact: ["authorization", "headers.authorization", "headers['x-api-key']", "token"],
    },
    destination,
  );
}
