/** Where desired state was read: a commit when it is in git, and whether the files differed from it. */
export interface FleetRevision {
  readonly commit: string | null;
  readonly dirty: boolean;
  readonly path: string;
}
