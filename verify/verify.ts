import { DatabaseError } from 'pg';
import { openTable } from '#cdc-poller/rows.ts';
import { formatTableId, parseLossless } from '#change-events/index.ts';
import { lostValues, mariadbLostValues, type ConnectorFile, type LostValues } from '#connectors/index.ts';
import { CdcError, describeError, pause, type Logger, type PipelineConfig } from '#pipeline/index.ts';
import { requireModel, requireReadModel, selectModels, type Mirror } from '#read-model/index.ts';
import { confirm } from './confirm.ts';
import type { Difference, Suspect } from './difference.ts';
import { comparedColumns, deleteDelay, polledAs, requireMirrored, strategyOf, type NotCompared, type Problem } from './plan.ts';
import { openReadSide, type ReadSide } from './read-side.ts';
import { outcomeOf, Tally, type TableResult } from './result.ts';
import { openSourceSide, type SourceSide } from './source-side.ts';
import { comparedAs, keyName, keyText, paddedColumns, toMirrorKey, toSourceKey } from './values.ts';
import { walk, type Pair } from './walk.ts';

export type VerifyOptions = {
  readonly config: PipelineConfig;
  readonly connectors: readonly Pick<ConnectorFile, 'config'>[];
  /** `schema.table`; none means all that the models mirror. */
  readonly tables: readonly string[];
  readonly models: readonly string[] | undefined;
  readonly limits: VerifyLimits;
  readonly logger: Logger;
  readonly signal: AbortSignal;
  readonly progress: (text: string) => void;
};

export type VerifyLimits = {
  /** Most rows that one query reads. */
  readonly pageRows: number;
  /** Of the source, on average; undefined for no limit. */
  readonly rowsPerSecond: number | undefined;
  /** Keys that are kept of each kind of difference. */
  readonly listedKeys: number;
  /** When so many rows differ, comparing the table ends. */
  readonly maxDifferences: number;
  /** Longest wait for a model to become complete up to one moment. */
  readonly timeoutMs: number;
};

type Work = VerifyOptions & { readonly source: SourceSide; readonly read: ReadSide };

const reportEveryMs = 2000;
/** Suspects that are looked at again together. */
const suspectsAtOnce = 1000;
const statementTimeoutMs = 60_000;

/**
 * Compares the rows of the source with those of the mirrors. A difference counts when it is there at a known position (confirm.ts).
 *
 * @throws CdcError READ_MODEL_NOT_CONFIGURED, READ_DB_UNREACHABLE, VERIFY_NO_MIRROR, LEGACY_DB_UNREACHABLE …; what is wrong with one table is in its result
 */
export async function verify(options: VerifyOptions): Promise<readonly TableResult[]> {
  const { config, tables, signal, limits, logger, progress } = options;
  const readModel = requireReadModel(config);
  const models = selectModels(readModel, options.models);
  const timeouts = { timeoutMs: limits.timeoutMs, statementTimeoutMs: config.poller?.statementTimeoutMs ?? statementTimeoutMs };
  await using read = await openReadSide({ config, readModel, logger, signal, progress, ...timeouts });
  await using source = openSourceSide(config.legacyDb, timeouts.statementTimeoutMs);
  const mirrors = new Map<string, readonly Mirror[]>();
  for (const model of models) mirrors.set(model, await read.mirrors(model));
  const mirrored = new Set([...mirrors.values()].flat().map(({ source: table }) => formatTableId(table)));
  requireMirrored(tables, mirrored, models);
  const asked = new Set(tables.length === 0 ? mirrored : tables);
  const results: TableResult[] = [];
  for (const [model, all] of mirrors) {
    for (const mirror of all.filter(({ source: table }) => asked.has(formatTableId(table)))) {
      signal.throwIfAborted();
      results.push(await verifyMirror({ ...options, source, read }, model, mirror));
    }
  }
  return results;
}

/** One mirror. What its table is refused with is its own: others go on. */
async function verifyMirror(work: Work, model: string, mirror: Mirror): Promise<TableResult> {
  const { config, read, limits, signal } = work;
  const table = formatTableId(mirror.source);
  const strategy = strategyOf(config, requireModel(requireReadModel(config), model).topicPrefix);
  const delay = deleteDelay(config, mirror.source, strategy);
  const head = { table, model, strategy, ghostsExpected: delay === null };
  const tally = new Tally(limits.listedKeys);
  const counts = { sourceRows: 0, mirrorRows: 0 };
  let notCompared: readonly NotCompared[] = [];
  if ((strategy === 'query' || strategy === 'sweep') && polledAs(config, mirror.source)?.query !== undefined)
    return { ...head, ...counts, ...tally.found(), notCompared, parked: 0, complete: false, problem: null, outcome: 'notVerified' };
  try {
    const { pair, clock, left } = await openPair(work, model, mirror);
    notCompared = left;
    const ghostsUntil = performance.now() + (delay ?? 0);
    const mayPass = ({ kind }: Difference): boolean => kind === 'ghost' && delay !== null && delay > 0 && performance.now() < ghostsUntil;
    const isExpected = ({ kind }: Difference): boolean => kind === 'notComparable' || (kind === 'ghost' && delay === null);
    const untilComplete = (micros: bigint): Promise<string | null> => read.untilComplete(model, micros);
    const settle = async (suspects: readonly Suspect[]): Promise<boolean> => {
      const { differences, open, why, isLate } = await confirm(suspects, { pair, clock, untilComplete, mayPass, isExpected, signal });
      tally.add(differences);
      tally.leaveOpen(
        open.map(({ key }) => key),
        why,
      );
      return !isLate && !isTooMuch(tally, head.ghostsExpected, limits.maxDifferences);
    };
    const complete = await walkThrough(work, { pair, head, counts, settle });
    const found = tally.found();
    // What was counted is from before some rows came: every row of the source is in the mirror by now, but for those that are not.
    if (complete && tally.openCount === 0) counts.mirrorRows = counts.sourceRows - found.missing.count + found.ghost.count;
    const result = { ...head, ...counts, ...found, notCompared, parked: await read.parked(model, mirror.source), complete, problem: null };
    return { ...result, outcome: outcomeOf(result) };
  } catch (error) {
    const problem = problemOf(error, table);
    if (problem === null) throw error;
    return { ...head, ...counts, ...tally.found(), notCompared, parked: 0, complete: false, problem, outcome: 'failed' };
  }
}

type Walk = {
  readonly pair: Pair;
  readonly head: Pick<TableResult, 'table' | 'model'>;
  readonly counts: { sourceRows: number; mirrorRows: number };
  /** Looks at suspects again. False when there is no use in going on. */
  readonly settle: (suspects: readonly Suspect[]) => Promise<boolean>;
};

/** Whether it came to the end of the table. */
async function walkThrough({ limits, signal, progress }: Work, { pair, head, counts, settle }: Walk): Promise<boolean> {
  const began = performance.now();
  let reportedAt = began;
  let suspects: Suspect[] = [];
  for await (const page of walk(pair, limits.pageRows)) {
    signal.throwIfAborted();
    counts[page.side === 'source' ? 'sourceRows' : 'mirrorRows'] += page.rows;
    for (const suspect of page.suspects) suspects.push(suspect);
    if (performance.now() - reportedAt > reportEveryMs) {
      reportedAt = performance.now();
      const again = suspects.length > 0 ? `, ${suspects.length} to look at again` : '';
      progress(`${head.table} in ${head.model}: ${counts.sourceRows} rows of the source, ${counts.mirrorRows} of the mirror${again}`);
    }
    while (suspects.length >= suspectsAtOnce) {
      const goesOn = await settle(suspects.slice(0, suspectsAtOnce));
      suspects = suspects.slice(suspectsAtOnce);
      if (!goesOn) return false;
    }
    if (limits.rowsPerSecond !== undefined) {
      // Each side asks the other for every row: twice at the source.
      const due = ((counts.sourceRows + counts.mirrorRows) / limits.rowsPerSecond) * 1000;
      await pause(due - (performance.now() - began), signal);
    }
  }
  await settle(suspects);
  return true;
}

function isTooMuch(tally: Tally, ghostsExpected: boolean, most: number): boolean {
  return tally.count('missing') + tally.count('stale') + (ghostsExpected ? 0 : tally.count('ghost')) + tally.openCount >= most;
}

type OpenPair = { readonly pair: Pair; readonly clock: () => Promise<bigint>; readonly left: readonly NotCompared[] };

async function openPair({ config, connectors, source, read }: Work, model: string, mirror: Mirror): Promise<OpenPair> {
  const { source: table, key: keyIndexes } = mirror;
  const { topicPrefix, ignoreColumns } = requireModel(requireReadModel(config), model);
  const key = keyIndexes.flatMap((index) => mirror.columns[index]?.name ?? []);
  const polled = polledAs(config, table);
  const atSource = await source.open({ table, key, only: polled?.only ?? false });
  const user = requireReadModel(config).user;
  const inMirror = await openTable(read.session, { table: { schema: mirror.schema, table: mirror.table }, key, role: user });
  const known = inMirror.columns.filter(({ name }) => mirror.columnNames.has(name));
  const left = [
    ...atSource.table.unknown.map((column) => ({ column, why: 'of a type whose text may not be the whole value' })),
    ...atSource.table.unreadable.map((column) => ({ column, why: 'the role may not read it' })),
  ];
  const strategy = strategyOf(config, topicPrefix);
  const { compared, notCompared } = comparedColumns({
    table,
    strategy,
    source: atSource.table.columns,
    left,
    mirror: known,
    key,
    ignored: ignoreColumns,
    polled,
    connectors,
  });
  const columns = known.filter(({ name }) => compared.includes(name)).map(comparedAs);
  const keyColumns = key.flatMap((name) => known.find((column) => column.name === name) ?? []).map(comparedAs);
  const padded = paddedColumns(atSource.table.columns, key);
  const names = columns.map(({ name }) => name);
  const lost = strategy === 'log' ? await lostByLog(config, (sql, values) => atSource.session.query(sql, values), table) : noneLost;
  const pair: Pair = {
    columns,
    isLost: (column, text) => lost.get(column)?.(parseLossless(text)) ?? false,
    source: atSource.table.rows(names),
    mirror: inMirror.rows(names),
    sourceKeys: atSource.table.rows([]),
    mirrorKeys: inMirror.rows([]),
    nameOf: ({ keyValues }) => keyName(keyColumns, padded, keyValues),
    textOf: ({ keyValues }) => keyText(key, keyValues),
    toMirror: toMirrorKey(mirror),
    toSource: toSourceKey(keyColumns, config.legacyDb.dialect),
  };
  return { pair, clock: async () => (await atSource.session.observe()).clock, left: notCompared };
}

const noneLost: LostValues = new Map();

/** H2 has no log. */
function lostByLog({ legacyDb }: PipelineConfig, ...of: Parameters<typeof lostValues>): Promise<LostValues> {
  return legacyDb.dialect === 'mariadb' ? mariadbLostValues(...of) : lostValues(...of);
}

/** What is wrong with one table, and no reason to give the others up; null for anything else. */
function problemOf(error: unknown, table: string): Problem | null {
  if (error instanceof CdcError) {
    const { code, message, remedy } = error;
    return /UNREACHABLE|LOGIN_REFUSED|DB_MISSING|POOLER/.test(code) ? null : { code, message, remedy };
  }
  // Dropped or altered while it was read: 42P01 no such table, 42703 no such column; MariaDB says so by its state.
  const code = error instanceof DatabaseError ? error.code : error instanceof Error && 'sqlState' in error ? error.sqlState : undefined;
  if (code !== '42P01' && code !== '42703' && code !== '42S02' && code !== '42S22') return null;
  const changed = new CdcError('TABLE_CHANGED', `table ${table} or its mirror was altered while it was read: ${describeError(error)}`, {
    remedy: 'Run the command again.',
  });
  return { code: changed.code, message: changed.message, remedy: changed.remedy };
}
