/* The names of a fleet's refs: a fleet's name is lower-case letters, digits and dashes, so they are valid. */

export const LOCK_REFS = "refs/cortex/lock/";

export const nameLockRef = (fleet: string): string => `${LOCK_REFS}${fleet}`;

/** There while somebody has asked the loops to change nothing. */
export const nameSuspensionRef = (fleet: string): string => `refs/cortex/suspended/${fleet}`;

/** A chain of commits, one for each apply. */
export const nameHistoryRef = (fleet: string): string => `refs/cortex/applied/${fleet}`;
