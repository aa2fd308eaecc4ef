import type { Clock } from "../../../core/clock.ts";
import { commitStatus, type StatusTarget } from "../commit-status.ts";
import type { Delivery } from "../delivery.ts";
import { slackNotification, webhookNotification, type News } from "../notification.ts";
import { Outbox } from "./outbox.ts";
import { startReconcileServer } from "./reconcile-server.ts";
import type { RoundOptions } from "./reconcile-round.ts";
import { startReconcile, type Reconciler } from "./start-reconcile.ts";

/** Whoever wants to know what the loop does. */
export interface Listeners {
  readonly status: StatusTarget | undefined;
  readonly webhook: { readonly url: string; readonly secret: string | undefined } | undefined;
  readonly slackUrl: string | undefined;
}

export interface ReconcileServiceOptions extends RoundOptions {
  readonly intervalMs: number;
  readonly branch: string;
  readonly fleet: string;
  readonly listen: { readonly host: string; readonly port: number } | undefined;
  /** Shared with the git host; without it no webhook is taken. */
  readonly hookSecret: string | undefined;
  readonly listeners: Listeners;
}

export interface ReconcileServiceDeps {
  readonly clock: Clock;
  readonly chance: () => number;
  readonly onNews: (news: News) => void;
  /** What could not be told to whom. */
  readonly onProblem: (text: string) => void;
}

export interface ReconcileService {
  readonly reconciler: Reconciler;
  /** Where it takes webhooks and tells of itself; undefined when it does not. */
  readonly url: string | undefined;
  /** Begins nothing new, waits for what runs, and gives what waits to be told a moment. */
  close(): Promise<void>;
}

/** Long enough for a host that is up; whoever stops a process does not wait for one that is down. */
const FAREWELL_MS = 5000;

/** The loop, its server, and everybody who is told. */
export async function startReconcileService(
  options: ReconcileServiceOptions,
  { clock, chance, onNews, onProblem }: ReconcileServiceDeps,
): Promise<ReconcileService> {
  const { fleet, branch, listen, hookSecret } = options;
  const posts = postsOf(options.listeners, { clock, onProblem });
  const reconciler = startReconcile(options, {
    clock,
    chance,
    onTell: ({ conditions, outcome }) => {
      const news = { fleet, at: new Date(clock.nowMs()).toISOString(), outcome, conditions };
      onNews(news);
      for (const { outbox, write } of posts) {
        const delivery = write(news);
        if (delivery !== undefined) outbox.post(delivery);
      }
    },
  });
  const closeLoop = async (): Promise<void> => {
    await reconciler.close();
    await Promise.all(posts.map(({ outbox }) => outbox.close(FAREWELL_MS)));
  };
  if (listen === undefined) return { reconciler, url: undefined, close: closeLoop };
  const asked = { listen, hookSecret, branch, fleet };
  const server = await startReconcileServer(asked, { reconciler, clock }).catch(async (thrown: unknown) => {
    await closeLoop();
    throw thrown;
  });
  return {
    reconciler,
    url: server.url,
    close: async () => {
      await closeLoop();
      await server.close();
    },
  };
}

interface Post {
  readonly outbox: Outbox;
  readonly write: (news: News) => Delivery | undefined;
}

function postsOf(
  { status, webhook, slackUrl }: Listeners,
  deps: Pick<ReconcileServiceDeps, "clock" | "onProblem">,
): Post[] {
  const posts: Post[] = [];
  const add = (name: string, write: Post["write"]): void =>
    void posts.push({ outbox: new Outbox({ ...deps, name }), write });
  if (status !== undefined)
    add(`the commit status at ${status.api}`, ({ outcome, fleet }) =>
      commitStatus(outcome, status, { fleet }),
    );
  if (webhook !== undefined) add("the notification webhook", (news) => webhookNotification(news, webhook));
  if (slackUrl !== undefined) add("the Slack webhook", (news) => slackNotification(news, slackUrl));
  return posts;
}
