/** A message as a template reads it: its content is text. */
export interface PlacedMessage {
  readonly role: string;
  readonly content: string;
}

/** Where a template takes messages of the system. */
export interface SystemPlaces {
  /** Before everything else. */
  readonly first: boolean;
  /** Several in a row before everything else. */
  readonly several: boolean;
  /** Between turns, and after the last. */
  readonly later: boolean;
}

export const EVERYWHERE: SystemPlaces = { first: true, several: true, later: true };

const isSystem = ({ role }: PlacedMessage): boolean => role === "system" || role === "developer";

/** Between texts that were apart, as between paragraphs. */
const joined = (...texts: readonly string[]): string => texts.filter((text) => text !== "").join("\n\n");

/**
 * The conversation as the template takes it. Templates are found that refuse a system message, a second one, or one after
 * the beginning, and some leave it out without a word; clients send all of these. What has no place of its own becomes part
 * of what stands next to it, in the order in which it was said, and nothing is lost: leading ones are one message; a later
 * one begins the user's next turn, else ends the one before, else is a turn of the user's. Where the template takes
 * everything the messages are the same objects.
 */
export function placeSystem<Message extends PlacedMessage>(
  messages: readonly Message[],
  places: SystemPlaces,
): readonly (Message | PlacedMessage)[] {
  const turnsAt = messages.findIndex((message) => !isSystem(message));
  const lead = turnsAt === -1 ? messages : messages.slice(0, turnsAt);
  const turns = turnsAt === -1 ? [] : messages.slice(turnsAt);
  const kept = keptLead(lead, places);
  const carried = places.first ? "" : joined(...lead.map(({ content }) => content));
  if (places.later && carried === "") return [...kept, ...turns];
  return [...kept, ...placedTurns(turns, carried, places)];
}

function keptLead(lead: readonly PlacedMessage[], { first, several }: SystemPlaces) {
  const [one] = lead;
  if (one === undefined || !first) return [];
  if (lead.length === 1 || several) return lead;
  return [{ ...one, content: joined(...lead.map(({ content }) => content)) }];
}

/** `carried` is what was said before the first turn and has no place yet. */
function placedTurns(
  turns: readonly PlacedMessage[],
  carried: string,
  { later }: SystemPlaces,
): readonly PlacedMessage[] {
  const placed: PlacedMessage[] = [];
  let waiting = carried;
  for (const message of turns) {
    if (isSystem(message) && !later) {
      waiting = joined(waiting, message.content);
    } else if (waiting === "") {
      placed.push(message);
    } else if (message.role === "user") {
      placed.push({ ...message, content: joined(waiting, message.content) });
      waiting = "";
    } else {
      giveToLast(placed, waiting);
      placed.push(message);
      waiting = "";
    }
  }
  if (waiting !== "") giveToLast(placed, waiting);
  return placed;
}

function giveToLast(placed: PlacedMessage[], text: string): void {
  const last = placed.at(-1);
  if (last?.role === "user") placed[placed.length - 1] = { ...last, content: joined(last.content, text) };
  else placed.push({ role: "user", content: text });
}

const WORDS = ["probe-first", "probe-second", "probe-question", "probe-answer", "probe-later", "probe-more"];
const [FIRST = "", SECOND = "", QUESTION = "", ANSWER = "", LATER = "", MORE = ""] = WORDS;

const system = (content: string): PlacedMessage => ({ role: "system", content });
const user = (content: string): PlacedMessage => ({ role: "user", content });
const assistant = (content: string): PlacedMessage => ({ role: "assistant", content });

/** Found out by trying: a template takes a conversation if all that was said stands in the prompt, in its order. */
export function findSystemPlaces(render: (messages: readonly PlacedMessage[]) => string): SystemPlaces {
  const takes = (messages: readonly PlacedMessage[]): boolean => {
    try {
      const prompt = render(messages);
      let at = -1;
      return messages.every(({ content }) => {
        at = prompt.indexOf(content, at + 1);
        return at !== -1;
      });
    } catch {
      return false;
    }
  };
  // A template that fails with a question alone is not to be judged by what it does with more.
  if (!takes([user(QUESTION)])) return EVERYWHERE;
  const first = takes([system(FIRST), user(QUESTION)]);
  const before = [...(first ? [system(FIRST)] : []), user(QUESTION), assistant(ANSWER), system(LATER)];
  return {
    first,
    several: first && takes([system(FIRST), system(SECOND), user(QUESTION)]),
    later: takes([...before, user(MORE)]) && takes(before),
  };
}
