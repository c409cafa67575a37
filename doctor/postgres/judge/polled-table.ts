import type { CatalogTable, Judgement } from '#cdc-poller/judge.ts';
import { formatTableId } from '#change-events/index.ts';
import { formatBytes } from '#connectors/postgres/lsn.ts';
import { finding, type Finding } from '../../finding.ts';
import type { PolledTable } from '../../polled-tables.ts';
import type { FoundTable, TableFacts } from '../probe/tables.ts';
import type { TouchedColumn } from '../probe/touched-column.ts';
import { sqlTable } from '#connectors/postgres/sql-names.ts';
import { columnMover } from './timestamp-trigger.ts';
import { touchRemedy } from './touch-remedy.ts';

const kinds = { v: 'a view', m: 'a materialised view', f: 'a foreign table' } as const;

export type PolledContext = {
  /** Of the poller. */
  readonly judgement: Pick<Judgement, 'catalog' | 'missingIndex'>;
  /** The timestamp column; null when there is none, or no such column. */
  readonly touched: TouchedColumn | null;
  /** Names of all tables that are polled. */
  readonly polledNames: readonly string[];
};

/** What a poll of the table would miss or cost, beyond what the poller refuses. Pure. */
export function judgePolledTable({ id, found }: TableFacts, polled: PolledTable, context: PolledContext): readonly Finding[] {
  if (found === null) return [];
  const { kind } = found;
  if (kind !== 'r' && kind !== 'p') {
    const isExact = polled.mode === 'bulk' || polled.mode === 'incrementing';
    return isExact ? [] : [finding('NO_FENCE', 'query', subjectOf(id), { kind: kinds[kind] })];
  }
  const { judgement, touched, polledNames } = context;
  return [
    ...judgeIndex(id, found, judgement),
    ...judgeChildren(id, judgement.catalog, polled, polledNames),
    ...judgeMover(id, found, polled, touched),
    ...judgeSequence(id, found, polled),
    ...judgeBlindness(id, found, polled),
  ];
}

type Id = TableFacts['id'];

function subjectOf(id: Id): { kind: 'table'; name: string; table: string } {
  const table = formatTableId(id);
  return { kind: 'table', name: table, table };
}

function judgeIndex(id: Id, { bytes }: FoundTable, { missingIndex }: PolledContext['judgement']): readonly Finding[] {
  if (missingIndex === null) return [];
  const { columns, remedy } = missingIndex;
  const size = bytes > 0 ? formatBytes(bytes) : 'small, or never analysed';
  return [finding('COLUMN_UNINDEXED', 'query', subjectOf(id), { columns: columns.join(', '), createIndexStatements: remedy, size })];
}

function judgeChildren(id: Id, catalog: CatalogTable | null, { config }: PolledTable, polledNames: readonly string[]): readonly Finding[] {
  const children = (catalog?.children ?? []).map(formatTableId).filter((name) => !polledNames.includes(name));
  if (!config.only || children.length === 0) return [];
  return [finding('CHILDREN_NOT_POLLED', 'query', subjectOf(id), { children: children.join(', ') })];
}

/** Of several timestamps the first is the one that an update sets. */
function judgeMover(id: Id, table: FoundTable, polled: PolledTable, touched: TouchedColumn | null): readonly Finding[] {
  const [name] = polled.timestampColumns;
  const type = table.columns.find((column) => column.name === name)?.type ?? '';
  if (name === undefined || !type.startsWith('timestamp')) return [];
  const mover = columnMover(table, name);
  const owner = formatTableId(id);
  const subject = { kind: 'column', name: `${owner}.${name}`, table: owner } as const;
  switch (mover.kind) {
    case 'moved':
      return [];
    case 'unclear':
      return [finding('TIMESTAMP_TRIGGER_UNCLEAR', 'query', subject, { detail: mover.detail, table: owner, column: name })];
    case 'unmoved': {
      const { remedy, who } = touchRemedy(id, table, polled, name, touched);
      const particulars = { detail: mover.detail, table: owner, triggerOrAnotherWay: remedy, ownerOrEditor: who };
      return [finding('TIMESTAMP_NOT_MOVED', 'query', subject, particulars)];
    }
  }
}

/** In mode incrementing the poller refuses it. */
function judgeSequence(id: Id, { columns }: FoundTable, { incrementingColumn, mode }: PolledTable): readonly Finding[] {
  const sequence = columns.find(({ name }) => name === incrementingColumn)?.sequence;
  if (mode === 'incrementing' || sequence === undefined || sequence === null || sequence.cache <= 1) return [];
  const table = formatTableId(id);
  const subject = { kind: 'column', name: `${table}.${incrementingColumn}`, table } as const;
  return [finding('SEQUENCE_CACHE', 'query', subject, { cache: String(sequence.cache), sqlSequence: sqlTable(sequence) })];
}

/** What no poll of this mode can see, where it happens. */
function judgeBlindness(id: Id, { statistics }: FoundTable, { mode }: PolledTable): readonly Finding[] {
  const { deletes, updates } = statistics;
  return [
    ...(deletes > 0 ? [finding('DELETES_INVISIBLE', 'query', subjectOf(id), { deletes: String(deletes) })] : []),
    ...(updates > 0 && mode === 'incrementing' ? [finding('UPDATES_INVISIBLE', 'query', subjectOf(id), { updates: String(updates) })] : []),
  ];
}
