import { execFileSync, spawn } from "node:child_process";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { join } from "node:path";

/** `git http-backend`, git's own server for HTTP, behind a small one of Node. */
export interface HttpGitServer extends AsyncDisposable {
  /** Base URL, without a slash at its end; repositories lie below it by their names. */
  readonly url: string;
  /** From now on every request is answered with this status; undefined: with git. */
  fail(status: number | undefined): void;
  /** Requests for these paths reach git, and their answers are cut off: as a line that breaks. */
  dropAnswerOf(isDropped: (path: string) => boolean): void;
  /** Called before git gets a request; what it returns is waited for. */
  onRequest(listener: (path: string) => Promise<void> | void): void;
  /** Requests so far. */
  readonly requests: number;
}

export async function startHttpGit(
  root: string,
  options: { readonly writable?: boolean; readonly credentials?: string } = {},
): Promise<HttpGitServer> {
  let status: number | undefined;
  let listener: ((path: string) => Promise<void> | void) | undefined;
  let requests = 0;
  let isDropped: ((path: string) => boolean) | undefined;
  const expected =
    options.credentials === undefined
      ? undefined
      : `Basic ${Buffer.from(options.credentials).toString("base64")}`;
  const server = createServer((request, response) => {
    requests += 1;
    const isKnown = expected === undefined || request.headers.authorization === expected;
    if (status !== undefined || !isKnown) {
      response.writeHead(status ?? 401, isKnown ? {} : { "www-authenticate": 'Basic realm="git"' }).end();
      return;
    }
    const path = request.url ?? "";
    const answer = async (): Promise<void> => {
      await listener?.(path);
      const drops = isDropped?.(path) === true;
      answerByGit(root, { request, response, writable: options.writable !== false, drops });
    };
    void answer();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (typeof address !== "object" || address === null) throw new Error("no address");
  return {
    url: `http://127.0.0.1:${address.port}`,
    fail: (answer) => {
      status = answer;
    },
    dropAnswerOf: (next) => {
      isDropped = next;
    },
    onRequest: (next) => {
      listener = next;
    },
    get requests() {
      return requests;
    },
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const backend = (): string =>
  join(execFileSync("git", ["--exec-path"]).toString().trim(), "git-http-backend");

interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly writable: boolean;
  readonly drops: boolean;
}

/** One request as CGI: headers as variables, the body on stdin, the answer's head before its body. */
function answerByGit(root: string, { request, response, writable, drops }: Exchange): void {
  const url = new URL(request.url ?? "", "http://127.0.0.1");
  const child = spawn(backend(), [], {
    env: {
      PATH: process.env["PATH"],
      GIT_PROJECT_ROOT: root,
      GIT_HTTP_EXPORT_ALL: "1",
      GIT_CONFIG_GLOBAL: "/dev/null",
      GIT_CONFIG_COUNT: "2",
      GIT_CONFIG_KEY_0: "http.receivepack",
      GIT_CONFIG_VALUE_0: String(writable),
      GIT_CONFIG_KEY_1: "safe.directory",
      GIT_CONFIG_VALUE_1: "*",
      PATH_INFO: decodeURIComponent(url.pathname),
      QUERY_STRING: url.search.slice(1),
      REQUEST_METHOD: request.method ?? "GET",
      CONTENT_TYPE: request.headers["content-type"] ?? "",
      HTTP_CONTENT_ENCODING: request.headers["content-encoding"] ?? "",
      GIT_PROTOCOL: String(request.headers["git-protocol"] ?? ""),
      REMOTE_USER: "test",
      REMOTE_ADDR: "127.0.0.1",
    },
    stdio: ["pipe", "pipe", "ignore"],
  });
  child.stdin.on("error", () => undefined);
  request.pipe(child.stdin);
  if (drops) {
    child.stdout.resume().on("end", () => request.socket.destroy());
    return;
  }
  let head = Buffer.alloc(0);
  let hasHead = false;
  child.stdout.on("data", (chunk: Buffer) => {
    if (hasHead) {
      response.write(chunk);
      return;
    }
    head = Buffer.concat([head, chunk]);
    const end = head.indexOf("\r\n\r\n");
    if (end === -1) return;
    hasHead = true;
    const lines = head
      .toString("utf8", 0, end)
      .split("\r\n")
      .map((line) => line.split(": ") as [string, string]);
    const [, answered = "200"] = lines.find(([name]) => name === "Status") ?? [];
    response.writeHead(
      Number.parseInt(answered, 10),
      Object.fromEntries(lines.filter(([name]) => name !== "Status")),
    );
    response.write(head.subarray(end + 4));
  });
  child.stdout.on("end", () => response.end());
}
