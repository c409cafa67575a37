/**
 * Whether a table can be polled, and published under its topic as it is configured. There is one judge: `poller start` refuses what it finds, `cdc doctor` reports it beforehand, with the
 * same code and remedy.
 */
import { CdcError, type PollerTableConfig } from '#pipeline/index.ts';
import type { Position } from './position/position.ts';
import type { ServerIdentity } from './source/dialect.ts';
import { goOnFrom } from './source/go-on.ts';
import { findProblems } from './source/judge/judge-table.ts';
import type { ShapeFinding } from './source/judge/unfit-codes.ts';
import { missingIndex, type MissingIndex } from './source/judge/missing-index.ts';
import type { SourceSession } from './source/dialect.ts';
import { shapeOf, type TableShape } from './source/table/table-shape.ts';
import type { CatalogTable } from './source/table/catalog-table.ts';
import { isUnfitCode } from './source/judge/unfit-codes.ts';
import { sweepKeyOf } from './sweep/sweep-view.ts';

export { backendSql, isPooler, poolerBetween } from './postgres/pooler.ts';
export { foreseeTopics, judgeTopics, type TopicJudgement, type TopicRefusals } from './judge-topics.ts';
export { dialectOf } from './dialects.ts';
export type { ShapeFinding } from './source/judge/unfit-codes.ts';
export type { SourceSession } from './source/dialect.ts';
export type { Position } from './position/position.ts';
export type { TableShape } from './source/table/table-shape.ts';
export type { CatalogTable } from './source/table/catalog-table.ts';
export type { UnfitCode } from './source/judge/unfit-codes.ts';

export type Judgement = {
  /** Null where the database refuses the very question. */
  readonly catalog: CatalogTable | null;
  /** Every reason to refuse the table, not only the first. */
  readonly findings: readonly ShapeFinding[];
  /** Null too where there are findings. */
  readonly shape: TableShape | null;
  /** No reason to refuse it: its load is. */
  readonly missingIndex: MissingIndex | null;
};

/** @throws what is no fault of the table: a connection that is lost */
export async function judgeTable(
  session: SourceSession,
  { role }: Pick<ServerIdentity, 'role'>,
  config: PollerTableConfig,
  maskSecret = '',
): Promise<Judgement> {
  const { words } = session.dialect;
  let catalog: CatalogTable;
  try {
    catalog = await session.dialect.readCatalog(session, config);
  } catch (error) {
    if (!(error instanceof CdcError) || !isUnfitCode(error.code)) throw error;
    const { code, message, remedy } = error;
    return { catalog: null, findings: [{ code, message, remedy }], shape: null, missingIndex: null };
  }
  const findings = findProblems(catalog, config, role, words);
  if (findings.length > 0) return { catalog, findings, shape: null, missingIndex: missingIndex(catalog, config, words) };
  const shape = shapeOf(catalog, config, maskSecret, words);
  const unswept = config.sweep === undefined ? null : sweepKeyOf(shape);
  return {
    catalog,
    findings: typeof unswept === 'string' ? [{ code: 'SWEEP_KEY_UNFIT', message: unswept, remedy: sweepRemedy }] : [],
    shape,
    missingIndex: missingIndex(catalog, config, words),
  };
}

/**
 * Whether the source is the one that a table's position was made with, and the table still has what the position needs: SOURCE_CHANGED or TABLE_CHANGED.
 *
 * @param identity read after the position
 * @throws what is no fault of the position: a connection that is lost
 */
export async function judgePosition(
  position: Position,
  session: SourceSession,
  identity: ServerIdentity,
  shape: TableShape,
  table: PollerTableConfig,
): Promise<CdcError | null> {
  // A start refuses it as what it is, before it looks at any position.
  if (identity.inRecovery) return null;
  try {
    await goOnFrom(position, session, identity, shape, table);
    return null;
  } catch (error) {
    if (error instanceof CdcError && (error.code === 'SOURCE_CHANGED' || error.code === 'TABLE_CHANGED')) return error;
    throw error;
  }
}

const sweepRemedy = 'Take sweep off this table, or use the log-based strategy for it.';
