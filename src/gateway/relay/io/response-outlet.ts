import type { Socket } from "node:net";

type HeadValues = Readonly<Record<string, string | string[] | number | undefined>>;

/** Of Node's `ServerResponse` what the gateway uses: it has answers of its own beside it. */
export interface ResponseOutlet {
  readonly headersSent: boolean;
  readonly writableEnded: boolean;
  readonly writableFinished: boolean;
  readonly writableNeedDrain: boolean;
  readonly destroyed: boolean;
  readonly closed: boolean;
  /** Null: answers to earlier requests of its connection come first. */
  readonly socket: Socket | null;
  /** What is written is framed by it. */
  chunkedEncoding: boolean;
  writeHead(status: number, headers: HeadValues): unknown;
  write(bytes: Buffer | string, done?: () => void): boolean;
  end(bytes?: Buffer | string): unknown;
  destroy(): unknown;
  on(event: "error", listener: () => void): unknown;
  once(event: "close" | "drain", listener: () => void): unknown;
}
