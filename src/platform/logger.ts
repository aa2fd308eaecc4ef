import { pino, type DestinationStream, type Logger as PinoLogger } from "pino";

export type Logger = PinoLogger;

export interface LoggerOptions {
  readonly name: string;
  readonly level: string;
  /**
   * Lines of 20 ms leave together, and at once where one is a warning or worse: for a process that writes one for each of
   * many requests. A process that is killed, or dies in native code, loses those of its last 20 ms.
   */
  readonly gathersLines?: boolean;
  /** Which of several processes that do the same: told with each line. */
  readonly worker?: number;
  /**
   * Other processes write to the same stderr: what is gathered leaves in pieces that a pipe takes whole, so that lines do
   * not run into each other.
   */
  readonly sharesStderr?: boolean;
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
      base: {
        name: options.name,
        ...(options.worker === undefined ? {} : { worker: options.worker }),
      },
      timestamp: isoTime,
      redact: ["authorization", "headers.authorization", "headers['x-api-key']", "token"],
    },
    options.gathersLines === true
      ? gathered(destination, options.sharesStderr === true ? WHOLE_IN_A_PIPE : MOST_GATHERED)
      : destination,
  );
}

/**
 * A line of level "info" whose fields are JSON already, as in `,"status":200`: for what is said of each of many requests.
 * Nothing is masked in it. Pino's own way makes a text of an object field by field.
 */
export function logQuickly(logger: Logger, fields: string, message: string): void {
  if (!logger.isLevelEnabled("info")) return;
  const { lsCacheSym, timeSym, chindingsSym, streamSym } = pino.symbols;
  const inside = logger as unknown as Readonly<Record<symbol, unknown>>;
  const heads = inside[lsCacheSym] as Readonly<Record<number, string>>;
  const time = inside[timeSym] as () => string;
  const stream = inside[streamSym] as DestinationStream;
  const head = heads[INFO] ?? `{"level":${INFO}`;
  const own = inside[chindingsSym] as string;
  stream.write(`${head}${time()}${own}${fields},"msg":"${message}"}\n`);
}

const INFO = 30;
/** What stands in JSON as it is. */
const PLAIN = /^[ !#-[\]-~]*$/;

/** A text as JSON, without a look at each of its characters by hand where there is nothing to escape. */
export const quoted = (text: string): string => (PLAIN.test(text) ? `"${text}"` : JSON.stringify(text));

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

const GATHERED_FOR_MS = 20;
/** How much is gathered at most, in characters. */
const MOST_GATHERED = 64 * 1024;
/** What a pipe takes in one piece (PIPE_BUF), in characters: those of our own lines are one byte each, nearly all. */
const WHOLE_IN_A_PIPE = 4096;

/** By the first digit of the level: 40 is a warning, 50 and 60 are worse. */
const isWarning = (line: string): boolean => /^\{"level":[456]0,/.test(line);

function gathered(destination: DestinationStream, most: number): DestinationStream {
  let lines = "";
  let timer: NodeJS.Timeout | undefined;
  const flush = () => {
    clearTimeout(timer);
    timer = undefined;
    const text = lines;
    lines = "";
    if (text !== "") destination.write(text);
  };
  // What is said in the last turn, by an uncaught error for one, is not lost.
  process.once("exit", flush);
  return {
    write: (line) => {
      if (lines.length + line.length > most) flush();
      timer ??= setTimeout(flush, GATHERED_FOR_MS).unref();
      lines += line;
      if (isWarning(line)) flush();
    },
  };
}
