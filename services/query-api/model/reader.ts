import { DatabaseError, type Pool } from 'pg';
import {
  CdcError,
  describeError,
  postgresClientConfig,
  sessionSql,
  type Logger,
  type QueryApiConfig,
  type ReadModelConfig,
} from '#pipeline/index.ts';
import { openPool, qualified, queryText, requireModel, unreachable, type TextRow } from '#read-model/index.ts';
import { readOffsets, type Position } from '../freshness/position.ts';
import { fingerprintSql, readCatalogue, type Catalogue, type Table } from './catalogue.ts';
import { requireReader } from './role.ts';

/** SQL of one question, with its values. It may name `$1` (topics) and `$2` (the table), which are the reader's own. */
export type Question = {
  /** A SELECT whose columns are texts; numbered by its first, from 1 on. */
  readonly sql: string;
  readonly columns: readonly string[];
  readonly values: readonly unknown[];
  /** One row by its key: any plan is as good as one made for these values, so the server may keep it. */
  readonly byKey: boolean;
};

/** How far what was read is applied, in the same snapshot as the rows, or before. */
export type Applied = {
  readonly fingerprint: string;
  readonly position: Position;
  /** µs since the epoch; null: not known. */
  readonly asOf: bigint | null;
  readonly stalenessMs: bigint | null;
};

export type Read = { readonly rows: readonly TextRow[]; readonly applied: Applied };

/** The model as the API reads it, as its role. */
export type Reader = AsyncDisposable & {
  readonly model: string;
  /** What the model has; read again when it has changed, or `maxAgeMs` ago. @throws CdcError */
  catalogue(maxAgeMs?: number): Promise<Catalogue>;
  /**
   * Asks about a table; null when the model has none of this name. Whatever changes meanwhile (a switch to another version, a new column), the
   * answer is of one moment, and made by the table as it was then: the question is asked again where it was not.
   */
  ask(name: string, question: (table: Table) => Question): Promise<(Read & { readonly table: Table }) | null>;
  /** What the model had when it was read last, however long ago; null before the first time. */
  known(): Catalogue | null;
  /** How far all is applied. */
  applied(): Promise<Applied>;
  readonly pool: Pool;
};

/** Of a name that is not there (any more): another version serves, with other tables. XX000: of a table that was dropped while it was looked up. */
const changedStates: ReadonlySet<string> = new Set(['42P01', '42703', '3F000', 'XX000', '42704']);
const tries = 5;
/** An index that was made by hand is noticed so soon. */
const catalogueMs = 30_000;

type ReaderOptions = {
  readonly readModel: ReadModelConfig;
  readonly queryApi: QueryApiConfig;
  readonly model: string;
  readonly logger: Logger;
};

/** Opens the pool; asks nothing yet. Sessions can write nothing, whatever the role may. */
export function openReader({ readModel, queryApi, model, logger }: ReaderOptions): Reader {
  const config = {
    ...postgresClientConfig(readModel, queryApi, 'cdc query-api'),
    connectionTimeoutMillis: queryApi.statementTimeoutMs,
    // A server that has gone without a word: no one waits for its answer for ever.
    query_timeout: queryApi.statementTimeoutMs * 2 + 1000,
  };
  const timeout = String(queryApi.statementTimeoutMs);
  const session = sessionSql({
    default_transaction_read_only: 'on',
    statement_timeout: timeout,
    lock_timeout: '0',
    DateStyle: 'ISO, YMD',
    IntervalStyle: 'iso_8601',
    TimeZone: 'UTC',
    bytea_output: 'hex',
    extra_float_digits: '1',
    lc_monetary: 'C',
    jit: 'off',
  });
  const pool = openPool(config, logger, queryApi.connections, session);
  const { topicPrefix } = requireModel(readModel, model);
  const prepared = createPrepared();
  let known: { readonly catalogue: Catalogue; readonly at: number } | null = null;
  let loading: Promise<Catalogue> | null = null;
  const load = async (): Promise<Catalogue> => {
    try {
      const catalogue = await readCatalogue(pool, model, topicPrefix);
      // Once: what a DBA grants later is the DBA's.
      if (known === null) await requireReader(pool, model, catalogue);
      known = { catalogue, at: performance.now() };
      return catalogue;
    } catch (error) {
      throw error instanceof CdcError ? error : classified(config, error);
    } finally {
      loading = null;
    }
  };
  const reload = (): Promise<Catalogue> => (loading ??= load());
  const current = (maxAgeMs: number): Promise<Catalogue> =>
    known !== null && performance.now() - known.at < maxAgeMs ? Promise.resolve(known.catalogue) : reload();
  const ask: Reader['ask'] = async (name, question) => {
    for (let tried = 1; ; tried += 1) {
      const catalogue = await current(catalogueMs);
      const table = catalogue.tables.get(name) ?? (await current(1000)).tables.get(name);
      if (table === undefined) return null;
      try {
        const read = await readRows(pool, model, table, question(table), prepared);
        if (read.applied.fingerprint === catalogue.fingerprint || tried === tries) return { ...read, table };
      } catch (error) {
        if (!(error instanceof DatabaseError) || !changedStates.has(error.code ?? '') || tried === tries) throw error;
      }
      await reload();
    }
  };
  return {
    model,
    pool,
    ask,
    catalogue: (maxAgeMs = catalogueMs) => current(maxAgeMs),
    known: () => known?.catalogue ?? null,
    async applied() {
      const [row] = await queryText(pool, `WITH ${appliedSql(model, false)} SELECT ${appliedColumns} FROM applied a`);
      return toApplied(row ?? []);
    },
    async [Symbol.asyncDispose]() {
      await pool.end();
    },
  };
}

const appliedColumns = 'a.fingerprint, a.offsets, a.as_of, a.staleness';

/** Named first in a statement, and so never of a later version than the rows: what is claimed is never too much. A view that stands is as old as that. */
function appliedSql(model: string, ofTable: boolean): string {
  const asOf = ofTable
    ? `CASE WHEN f.as_of IS NOT NULL THEN least(f.as_of, (SELECT min(p.since) FROM ${qualified(model, 'projection_faults')} p WHERE p.projection = $2::text)) END`
    : 'f.as_of';
  return `applied AS MATERIALIZED (
    SELECT ${fingerprintSql(model)} AS fingerprint,
           (SELECT string_agg(o.topic || '/' || o.partition || '=' || o.next_offset, ' ' ORDER BY o.topic, o.partition)
              FROM ${qualified(model, 'applied_offsets')} o${ofTable ? ' WHERE o.topic = ANY ($1::text[])' : ''}) AS offsets,
           trunc(extract(epoch FROM ${asOf}) * 1000000)::bigint AS as_of,
           CASE WHEN f.as_of IS NOT NULL THEN greatest(0, ceil(extract(epoch FROM clock_timestamp() - ${asOf}) * 1000)) END::bigint AS staleness
      FROM ${qualified(model, 'freshness')} f)`;
}

async function readRows(
  pool: Pool,
  model: string,
  table: Table,
  { sql, columns, values, byKey }: Question,
  prepared: Prepared,
): Promise<Read> {
  const asked = `WITH ${appliedSql(model, true)}, q AS (${sql})
    SELECT ${appliedColumns.split(', ').map(onFirstRow).join(', ')}, q.n, ${columns.map((name) => `q.${name}`).join(', ')}
      FROM applied a LEFT JOIN q ON true ORDER BY q.n`;
  const rows = await queryText(pool, asked, [table.topics, table.name, ...values], byKey ? prepared.nameOf(asked) : undefined);
  const [head] = rows;
  if (head === undefined) throw new CdcError('READ_MODEL_NOT_MIGRATED', `read model ${model} has no freshness`);
  return { applied: toApplied(head), rows: rows.filter((row) => row[4] !== null).map((row) => row.slice(5)) };
}

/** Names of statements that the server keeps, parsed and planned. To plan one costs it more than to run it. */
type Prepared = { nameOf(sql: string): string | undefined };

/** Each connection keeps so many at the most, whatever clients ask for: further ones are planned each time. */
const preparedMost = 200;

function createPrepared(): Prepared {
  const names = new Map<string, string>();
  return {
    nameOf(sql) {
      const known = names.get(sql);
      if (known !== undefined || names.size >= preparedMost) return known;
      const name = `by key ${names.size}`;
      names.set(sql, name);
      return name;
    },
  };
}

function onFirstRow(name: string): string {
  return `CASE WHEN q.n IS NULL OR q.n = 1 THEN ${name} END`;
}

function toApplied([fingerprint = '', offsets = null, asOf = null, staleness = null]: TextRow): Applied {
  return {
    fingerprint: fingerprint ?? '',
    position: readOffsets(offsets),
    asOf: asOf === null ? null : BigInt(asOf),
    stalenessMs: staleness === null ? null : BigInt(staleness),
  };
}

/** Why the model cannot be read, as the operator must know it. */
function classified(config: Parameters<typeof unreachable>[0], error: unknown): CdcError {
  const code = error instanceof DatabaseError ? (error.code ?? '') : '';
  const what = `${config.user} at ${config.host}:${config.port}/${config.database}: ${describeError(error)}`;
  if (code.startsWith('28') || code === '3D000') return new CdcError('QUERY_API_LOGIN_REFUSED', what, { cause: error });
  if (code === '42501') return new CdcError('QUERY_API_GRANT_MISSING', what, { cause: error });
  return unreachable(config, error);
}
