/** How what is shown may look. */
export interface Look {
  readonly colour: boolean;
  /** Width of the terminal; absent where there is none, so that nothing is cut. */
  readonly columns?: number | undefined;
  /** The terminal has more than ASCII. */
  readonly unicode?: boolean | undefined;
}

/** What a command has to say: the same facts for people and, with `--json`, for programs. */
export interface View<Json> {
  readonly json: Json;
  /** Without a line break at its end; empty: nothing is printed. */
  readonly human: (look: Look) => string;
  /** Sentences, which a terminal breaks at its width; what is copied elsewhere (files, commands) is never broken. */
  readonly wraps?: true;
}
