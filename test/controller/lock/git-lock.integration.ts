import { mkdir, realpath } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { clearDeadLock } from "../../../src/controller/lock/io/clear-dead-lock.ts";
import { systemClock } from "../../../src/platform/system-clock.ts";
import { createGitLock } from "../../../src/controller/lock/io/git-lock.ts";
import { openSharedRefs } from "../../../src/repository/io/shared-refs.ts";
import { git, temporaryDirectory } from "../../support/fleet/fleet-on-disk.ts";
import { startGitDaemon } from "../../support/git/git-daemon.ts";
import { startHttpGit } from "../../support/git/http-git-server.ts";
import { sshd, startSshd } from "../../support/git/ssh-git-server.ts";
import {
  closing,
  failureOf,
  type LockPlace,
  locksAsPromised,
  lossOf,
  operatorOf,
  recordOf,
  take,
} from "./lock-contract.ts";

interface Served {
  readonly url: string;
  readonly environment?: Readonly<Record<string, string>>;
  close(): PromiseLike<void>;
}

/** An empty repository behind a server; each process has a cache of its own, as on machines of their own. */
async function placeBehind(
  serve: (root: string) => Promise<Served>,
): Promise<LockPlace & { readonly served: Served; readonly root: string }> {
  const directory = await temporaryDirectory();
  const root = join(directory.path, "srv");
  await git(directory.path, "init", "--quiet", "--bare", join(root, "fleet.git"));
  const served = await serve(root);
  let processes = 0;
  return {
    served,
    root,
    open: async (user) => {
      processes += 1;
      const refs = await openSharedRefs(
        { path: `git+${served.url}` },
        {
          inherited: {
            PATH: process.env["PATH"],
            HOME: "/nonexistent",
            CORTEX_DATA_DIR: join(directory.path, `data-${processes}`),
            ...served.environment,
          },
        },
      );
      if (refs === undefined) throw new Error("no refs");
      return createGitLock(refs, { fleet: "test", operator: operatorOf(user) });
    },
    [Symbol.asyncDispose]: async () => {
      await served.close();
      await directory[Symbol.asyncDispose]();
    },
  };
}

const overHttp = async (root: string): Promise<Served> => {
  const server = await startHttpGit(root, { credentials: "ann:s3cret" });
  return {
    url: `${server.url.replace("http://", "http://ann:s3cret@")}/fleet.git`,
    close: () => server[Symbol.asyncDispose](),
  };
};

const overDaemon = async (root: string): Promise<Served> => {
  const daemon = await startGitDaemon(root, { probe: "fleet.git" });
  return { url: `${daemon.url}/fleet.git`, close: () => daemon[Symbol.asyncDispose]() };
};

const overSsh = async (root: string): Promise<Served> => {
  const server = await startSshd(root);
  return {
    url: server.urlOf(join(root, "fleet.git")),
    environment: server.environment,
    close: () => server[Symbol.asyncDispose](),
  };
};

describe("over HTTP, behind git http-backend", () => {
  locksAsPromised(() => placeBehind(overHttp));
});

describe("over git daemon", () => {
  locksAsPromised(() => placeBehind(overDaemon));
});

describe.skipIf(sshd === undefined)("over ssh", () => {
  locksAsPromised(() => placeBehind(overSsh));
});

describe("what the refs hold", () => {
  test("the lock is a commit whose message says who, where, when and for what; the history has the epoch", async () => {
    await using place = await placeBehind(overHttp);
    const held = await take(await place.open("ann"), "ann", { revision: "abc" });
    const bare = join(place.root, "fleet.git");
    const message = await git(bare, "log", "-1", "--format=%an <%ae>%n%B", "refs/cortex/lock/test");
    expect(message.split("\n").slice(0, 2)).toEqual([
      "ann <ann@machine>",
      `apply of test by ann@machine since ${held.record.acquired_at}`,
    ]);
    await held.release(closing("all well"));
    expect(await git(bare, "for-each-ref", "--format=%(refname)")).toBe("refs/cortex/applied/test");
    expect(await git(bare, "log", "--format=%B", "refs/cortex/applied/test")).toBe(
      "all well\n\nCortex-Epoch: 1",
    );
    expect(await git(bare, "show", "refs/cortex/applied/test:apply.json")).toBe('{"text":"all well"}');
  });
});

test("a remote that is a path from the top of the clone is found from each of its folders", async () => {
  await using directory = await temporaryDirectory();
  const clone = join(directory.path, "clone");
  await git(directory.path, "init", "--quiet", "--bare", "fleet.git");
  await git(directory.path, "init", "--quiet", "clone");
  await git(clone, "remote", "add", "origin", "../fleet.git");
  await mkdir(join(clone, "below"));
  const inherited = { PATH: process.env["PATH"], HOME: "/nonexistent", CORTEX_DATA_DIR: directory.path };
  const refs = await openSharedRefs({ path: join(clone, "below") }, { inherited });
  expect(refs?.shown).toBe(join(await realpath(directory.path), "fleet.git"));
  expect([...((await refs?.read(["refs/cortex/*"])) ?? [])]).toEqual([]);
});

describe("a host in trouble", () => {
  test("that is down while the lock is held: it is given up in time, and the next apply needs no hand", async () => {
    const directory = await temporaryDirectory();
    const root = join(directory.path, "srv");
    await git(directory.path, "init", "--quiet", "--bare", join(root, "fleet.git"));
    await using server = await startHttpGit(root);
    await using place = await placeBehind(() =>
      Promise.resolve({ url: `${server.url}/fleet.git`, close: () => directory[Symbol.asyncDispose]() }),
    );
    const held = await take(await place.open("ann"), "ann", { ttlMs: 3000 });
    server.fail(503);
    await lossOf(held);
    expect(held.lost.reason).toMatchObject({
      message: expect.stringContaining("could not be reached") as string,
    });
    const down = await failureOf(take(await place.open("bob"), "bob"));
    expect(down.code).toBe("fleet_unreachable");
    server.fail(undefined);
    const next = await take(await place.open("bob"), "bob", { waitMs: 10_000 });
    expect(next.epoch).toBe(2);
    await next.release(closing("done"));
    expect(await held.release(closing("zombie"))).toBe(false);
  }, 30_000);

  test("whose answer is lost on the way: what was pushed counts, and is not pushed twice", async () => {
    const directory = await temporaryDirectory();
    const root = join(directory.path, "srv");
    await git(directory.path, "init", "--quiet", "--bare", join(root, "fleet.git"));
    await using server = await startHttpGit(root);
    await using place = await placeBehind(() =>
      Promise.resolve({ url: `${server.url}/fleet.git`, close: () => directory[Symbol.asyncDispose]() }),
    );
    server.dropAnswerOf((path) => path.endsWith("/git-receive-pack"));
    const held = await take(await place.open("ann"), "ann");
    expect(held.epoch).toBe(1);
    expect(await held.release(closing("done"))).toBe(true);
    expect(await git(join(root, "fleet.git"), "rev-list", "--count", "refs/cortex/applied/test")).toBe("1");
  });

  test.each([
    [
      "HTTP",
      async (root: string) => {
        const server = await startHttpGit(root, { writable: false });
        return { url: `${server.url}/fleet.git`, close: () => server[Symbol.asyncDispose]() };
      },
    ],
    [
      "git daemon",
      async (root: string) => {
        const daemon = await startGitDaemon(root, { writable: false, probe: "fleet.git" });
        return { url: `${daemon.url}/fleet.git`, close: () => daemon[Symbol.asyncDispose]() };
      },
    ],
  ] as const)(
    "that lets nobody write (%s) is told apart from one that does not answer",
    async (_name, serve) => {
      await using place = await placeBehind(serve);
      const refused = await failureOf(take(await place.open("ann"), "ann"));
      expect(refused.code).toBe("refs_not_writable");
      expect(refused.next).toContain("refs/cortex");
    },
  );
});

test("a dead holder's lock is cleared by whoever has nothing to apply; one that may be alive is left alone", async () => {
  await using place = await placeBehind(overHttp);
  const store = await place.open("ann");
  const past = new Date(Date.now() - 120_000).toISOString();
  const options = {
    fleet: "test",
    operation: "apply",
    revision: null,
    operator: operatorOf("bob"),
    clock: systemClock,
  };
  expect(await clearDeadLock(store, options)).toBeUndefined();
  await store.swap(undefined, recordOf({ ttl_ms: 600, acquired_at: past, renewed_at: past }));
  expect(await clearDeadLock(store, options)).toBe("00c0ffee of ann@machine");
  expect((await store.read()).token).toBeUndefined();
  const log = await git(
    join(place.root, "fleet.git"),
    "log",
    "-1",
    "--format=%s",
    "refs/cortex/applied/test",
  );
  expect(log).toBe("lock 00c0ffee of ann@machine removed: its holder is gone, and there is nothing to apply");
  const held = await take(store, "ann");
  expect(await clearDeadLock(store, options)).toBeUndefined();
  expect((await store.read()).record?.id).toBe(held.record.id);
  await held.release(closing("done"));
});
