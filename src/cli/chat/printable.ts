/* oxlint-disable no-control-regex -- control characters are what it is about */
const CONTROLS = /[\u0000-\u0008\u000B-\u001F\u007F-\u009F]/g;

/** What a model says is text: no character of it may steer the terminal. */
export const printable = (text: string): string => text.replaceAll("\r\n", "\n").replaceAll(CONTROLS, "");
