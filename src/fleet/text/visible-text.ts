/* oxlint-disable no-control-regex -- control characters are what this file is about */
/**
 * Control characters, and those that turn the direction of writing: a terminal would obey them, and a reviewer would
 * see something else than what stands in the file. A tab is only a tab.
 */
const INVISIBLE = /[\u0000-\u0008\u000A-\u001F\u007F-\u009F\u200E\u200F\u2028-\u202E\u2066-\u2069]/g;

/** The same text of the same length, with a mark for each character that would act instead of being seen. */
export const visibleText = (text: string): string => text.replaceAll(INVISIBLE, "\uFFFD");
