/** What a request asks for that needs a place at a copy of its model. */
export interface PlaceAsked {
  readonly modelId: string;
  readonly principal: string;
  /** What the requests of its conversation share; null: nothing tells. */
  readonly affinity: string | null;
  /** Neurons that failed this request: taken only when no other copy serves. */
  readonly avoid: ReadonlySet<string>;
  /** Neurons found dead by this request. */
  readonly excluded: ReadonlySet<string>;
  /** How long it may wait. */
  readonly patienceMs: number;
}
