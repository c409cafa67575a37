import type { FindingEntry } from './entry.ts';
import { accessFindings } from './access.ts';
import { pollingFindings } from './polling.ts';
import { unfitFindings } from './unfit.ts';

const owner = 'owner of the table';
const administrator = 'an administrator of the database';

const h2Findings = {
  LEGACY_LOGIN_REFUSED: {
    scope: 'query',
    severity: 'error',
    cause: 'The server refuses the login of {subject}, or the poller may not use it: {detail}.',
    remedy: '{advice}',
    privilege: administrator,
    blastRadius: 'The poller does not start. Nothing else could be checked.',
  },
  LEGACY_DB_MISSING: {
    scope: 'query',
    severity: 'error',
    cause: 'There is nothing to poll in database {subject}: {detail}.',
    remedy: '{advice}',
    privilege: 'who runs the application, or edits pipeline.yaml',
    blastRadius:
      'The poller does not start. An application that connects while the poller has the database open would not find its tables.',
  },
  PROBE_REFUSED: {
    scope: 'query',
    severity: 'unknown',
    cause: 'User {role} could not read {subject}: {detail}.',
    remedy: 'Run it again when the server is less busy.',
    privilege: administrator,
    blastRadius: 'What this check would have shown is not known. It may be a problem.',
  },
  COLUMN_UNINDEXED: {
    scope: 'query',
    severity: 'warning',
    cause: 'No index of {subject} begins with ({columns}).',
    remedy: '{createIndexStatements}',
    privilege: owner,
    blastRadius:
      'Every poll reads and sorts the whole table, as long as the poller runs. While the index is built, nobody can write to the table.',
  },
} as const satisfies Record<string, FindingEntry>;

/** What cdc doctor can find in an H2; a code that the others have too means the same here. */
export const h2Areas = { H2: h2Findings } as const;

const { LEGACY_DB_UNREACHABLE } = accessFindings;
const { POLLED_QUERY, PATTERN_TAKES_NONE } = pollingFindings;

export const h2Catalogue = { LEGACY_DB_UNREACHABLE, POLLED_QUERY, PATTERN_TAKES_NONE, ...unfitFindings, ...h2Findings } as const;
