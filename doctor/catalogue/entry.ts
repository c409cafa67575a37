/** How bad a finding is. `unknown`: it cannot be seen from here, which never counts as good. */
export type Severity = 'error' | 'warning' | 'unknown' | 'info';

/** What a finding is about: one strategy, or whichever is examined. */
export type Scope = 'query' | 'log' | 'either';

/**
 * What a code means. The texts are templates: `{name}` is replaced by a particular of the case, `{subject}` for the table, slot, role or
 * setting that the finding is about.
 */
export type FindingEntry = {
  readonly scope: Scope;
  readonly severity: Severity;
  readonly cause: string;
  /** SQL or a command. */
  readonly remedy: string;
  /** Who can carry out the remedy. */
  readonly privilege: string;
  /** What happens to whom if nothing is done, in plain words. */
  readonly blastRadius: string;
};
