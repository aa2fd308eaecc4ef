/** What `cortex selftest` found out about this machine; its names stay, as scripts read them. Sizes in MiB. */
export interface SelfTestReport {
  readonly ok: boolean;
  readonly package_version: string;
  readonly engine_version: string | null;
  readonly driver_version: string | null;
  readonly cuda_unavailable_reason: string | null;
  readonly devices: readonly {
    readonly index: number;
    readonly kind: string;
    readonly name: string;
    readonly vram_total_mb: number;
  }[];
  /** What computed the answers: the kind of the device that the model lay on. */
  readonly backend: string;
  readonly model: string;
  readonly load_secs: number;
  readonly memory: {
    readonly device: number;
    readonly before_mb: number;
    readonly loaded_mb: number;
    readonly after_mb: number;
    readonly estimated_mb: number;
    readonly measured_mb: number;
  };
  readonly throughput: readonly {
    readonly streams: number;
    /** Of all streams together, from the first request to the last token. */
    readonly tokens_per_second: number;
    readonly first_token_ms_median: number;
  }[];
  /** From the client's leaving until its slot is free. */
  readonly cancellation_ms: number;
  readonly checks: readonly SelfTestCheck[];
}

export interface SelfTestCheck {
  readonly name: string;
  readonly ok: boolean;
  readonly detail: string;
}
