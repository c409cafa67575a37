import type { UnfitCode } from '#cdc-poller/judge.ts';
import type { accessFindings } from './access.ts';
import type { FindingEntry } from './entry.ts';
import type { pollingFindings } from './polling.ts';

const editor = 'who edits pipeline.yaml';
const refused = 'The poller refuses {subject} and polls the other tables. Nothing of it is published.';

type Elsewhere = keyof typeof accessFindings | keyof typeof pollingFindings;

/**
 * What the poller refuses, by the same codes. Cause and remedy of a case come from the poller's judge (poller-judge.ts): here they say what a code means in general.
 */
export const unfitFindings = {
  TABLE_INHERITED: {
    scope: 'query',
    severity: 'error',
    cause: 'Other tables inherit from {subject}. A SELECT from it returns their rows too, and the same key may be in several of them.',
    remedy: 'Set only: true for the table in poller.tables, and add the child tables too.',
    privilege: editor,
    blastRadius: refused,
  },
  COLUMN_UNKNOWN: {
    scope: 'query',
    severity: 'error',
    cause: 'A column that poller.tables names does not exist.',
    remedy: 'Set it to an existing column, or use the log-based strategy.',
    privilege: editor,
    blastRadius: refused,
  },
  COLUMN_TYPE_UNFIT: {
    scope: 'query',
    severity: 'error',
    cause: 'A column has a type without a usable order of times or ids, or one that no key can have.',
    remedy: 'Choose another column, set timeZone for a timestamp without one, or use the log-based strategy.',
    privilege: editor,
    blastRadius: refused,
  },
  COLUMN_TYPE_UNKNOWN: {
    scope: 'query',
    severity: 'error',
    cause: 'A column has a type, or part of a type, that the poller does not know, so its text may not be the whole value.',
    remedy: 'Leave the column out (excludeColumns), or declare a query that casts it to text.',
    privilege: editor,
    blastRadius: refused,
  },
  COLUMN_NULLABLE: {
    scope: 'query',
    severity: 'error',
    cause: 'A tracking column may be null. A row with null there would never be read.',
    remedy:
      'Choose another column, or add a second timestamp column that is never null. SET NOT NULL would make the INSERT of a null fail.',
    privilege: editor,
    blastRadius: refused,
  },
  KEY_UNFIT: {
    scope: 'query',
    severity: 'error',
    cause: 'The table has no usable key: it has none, none that identifies one row, or one that is masked or left out.',
    remedy: 'Declare key in poller.tables: columns that together are unique and not null.',
    privilege: editor,
    blastRadius: refused,
  },
  SEQUENCE_UNFIT: {
    scope: 'query',
    severity: 'error',
    cause: 'Ids do not ascend in the order in which they are drawn. In mode incrementing, a low id that commits late would never be read.',
    remedy: 'Use a timestamp mode. Or declare idsAscend: true, or let the owner set the sequence to CACHE 1, as the finding says.',
    privilege: editor,
    blastRadius: refused,
  },
  SWEEP_KEY_UNFIT: {
    scope: 'query',
    severity: 'error',
    cause: 'A key sweep needs a table with rows of its own, and one integer or uuid column as primary key.',
    remedy: 'Remove sweep from this table, or use the log-based strategy for it.',
    privilege: editor,
    blastRadius: refused,
  },
  QUERY_INVALID: {
    scope: 'query',
    severity: 'error',
    cause: 'The database refuses the query of poller.tables.',
    remedy: 'Correct query in poller.tables: one SELECT without a semicolon, with named columns.',
    privilege: editor,
    blastRadius: refused,
  },
} as const satisfies Record<Exclude<UnfitCode, Elsewhere>, FindingEntry>;
