/**
 * The demo model says little of its own accord, and may be done before anybody can leave or kill it: an answer that has
 * to be a long list is long enough.
 */
export const LONG_LIST = {
  type: "object",
  properties: { list: { type: "array", items: { type: "boolean" }, minItems: 300 } },
  required: ["list"],
  additionalProperties: false,
};
