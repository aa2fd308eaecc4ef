import { pino, type DestinationStream, type Logger as PinoLogger } from "pino";

export type Logger = PinoLogger;

export interface LoggerOptions {
  readonly name: string;
  readonly level: string;
  /**
   * Lines of one turn of the event loop leave together: for a process that writes one for each of many requests. A
   * process that is killed, or dies in native code, loses those of its last turn.
   */
  readonly gathersLines?: boolean;
}

/**
 * Structured lines on stderr, so that stdout stays the command's own output.
 * Prompts and credentials are never passed to it; the redaction is a second wall, not the first.
 */
export function createLogger(options: LoggerOptions): Logger {
  const destination = pino.destination({ fd: 2, sync: true });
  // Whoever read the log has gone: the service goes on.
  destination.on("error", () => undefined);
  return pino(
    {
      name: options.name,
      level: options.level,
      base: { name: options.name },
      timestamp: isoTime,
      redact: ["authorization", "headers.authorization", "headers['x-api-key']", "token"],
    },
    options.gathersLines === true ? gathered(destination) : destination,
  );
}

/** Pino's own time, made once for all lines of a millisecond. */
let stampedMs = Number.NaN;
let stamp = "";
function isoTime(): string {
  const nowMs = Date.now();
  if (nowMs === stampedMs) return stamp;
  stampedMs = nowMs;
  stamp = `,"time":"${new Date(nowMs).toISOString()}"`;
  return stamp;
}

/** How much is gathered at most, in characters. */
const MOST_GATHERED = 64 * 1024;

function gathered(destination: DestinationStream): DestinationStream {
  let lines = "";
  const flush = () => {
    const text = lines;
    lines = "";
    if (text !== "") destination.write(text);
  };
  // What is said in the last turn, by an uncaught error for one, is not lost.
  process.once("exit", flush);
  return {
    write: (line) => {
      if (lines === "") setImmediate(flush);
      lines += line;
      if (lines.length > MOST_GATHERED) flush();
    },
  };
}
