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
import { openPool, queryText, requireModel, unreachable, type Reached, type TextRow } from '#read-model/index.ts';
import { Problem } from '../../http/problems.ts';
import { readCatalogue, type Catalogue, type Table } from './catalogue.ts';
import { appliedOf, clockSql, createReadings, originSql, takeReading, type Applied, type Reading } from './readings.ts';
import { requireReader } from './role.ts';

/** Rows, as SQL with its values: a SELECT with these columns, which are texts, numbered by `n` from 1 on. */
export type PageQuestion = {
  readonly kind: 'page';
  readonly sql: string;
  readonly columns: readonly string[];
  readonly values: readonly unknown[];
};

/** One row by its key: a SELECT of one text. Any plan is as good as one made for these values, so the server may keep it. */
type RowQuestion = { readonly kind: 'row'; readonly sql: string; readonly values: readonly unknown[] };

export type Question = PageQuestion | RowQuestion;

export type Read = { readonly rows: readonly TextRow[]; readonly applied: Applied };

/** `reached`: what is surely in the rows, of all topics of the model. */
type ModelRead = Read & { readonly reached: Reached };

/** The model as the API reads it, as its role. */
export type Reader = AsyncDisposable & {
  readonly model: string;
  /** What the model has; read again when it has changed, or `maxAgeMs` ago. @throws CdcError */
  catalogue(maxAgeMs?: number): Promise<Catalogue>;
  /**
   * Asks about a table; null when the model has none of this name. Whatever changes meanwhile (a switch to another version, a new column), the
   * answer is of one moment, and made by the table as it was then: the question is asked again where it was not. What is refused (no such table,
   * what the question throws, a value that does not fit its column) does not suit the model as it is now, not only as it was a moment before the call.
   */
  ask(name: string, question: (table: Table) => Question): Promise<(ModelRead & { readonly table: Table }) | null>;
  /** What the model had when it was read last, however long ago; null before the first time. */
  known(): Catalogue | null;
  /** How far all is applied, by a reading of now. */
  applied(): Promise<Applied>;
  readonly pool: Pool;
};

/**
 * Whether a statement does not fit what is there (any more): a name, a type (42…, 3F000; 0A000: a plan that was kept), or a table that was dropped while
 * it was looked up (XX000). Another version serves, with other tables, or a column is another.
 */
function isChanged(error: unknown): boolean {
  const code = error instanceof DatabaseError ? (error.code ?? '') : '';
  return (code.startsWith('42') && code !== '42501') || ['3F000', '0A000', 'XX000'].includes(code);
}

const tries = 5;
/** An index that was made by hand is noticed so soon. */
const catalogueMs = 30_000;
/** Likewise where something is refused: a table that got its key by hand is served so soon. */
const refusedMs = 1000;

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
  const prepared = createPrepared(model);
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
  const readings = createReadings(() => takeReading(pool, model));
  const ask: Reader['ask'] = async (name, question) => {
    for (let tried = 1; tried <= tries; tried += 1) {
      // Before the rows: what it says is applied is then in them.
      const reading = await (tried === 1 ? readings.recent() : readings.next());
      const newest = await current(tried === 1 ? catalogueMs : refusedMs);
      const catalogue = newest.fingerprint === reading.fingerprint ? newest : await reload();
      if (catalogue.fingerprint !== reading.fingerprint) continue;
      const table = catalogue.tables.get(name);
      if (table === undefined) {
        if (tried > 1) return null;
        continue;
      }
      try {
        const read = await readRows(pool, model, table, question(table), reading, prepared);
        if (read !== null) return { ...read, table };
      } catch (error) {
        if (isChanged(error) ? tried === tries : tried > 1 || !isRefusal(error)) throw error;
      }
      await reload();
    }
    throw unreachable(config, new Error(`the server, or the version of ${model}, was another at each of ${tries} tries`));
  };
  return {
    model,
    pool,
    ask,
    catalogue: (maxAgeMs = catalogueMs) => current(maxAgeMs),
    known: () => known?.catalogue ?? null,
    async applied() {
      const reading = await readings.fresh();
      return appliedOf(reading, null, reading.at);
    },
    async [Symbol.asyncDispose]() {
      await pool.end();
    },
  };
}

/** Whether it says that the request does not suit the table. It may suit the table as it is now, if that has changed since it was read. */
function isRefusal(error: unknown): boolean {
  return error instanceof Problem || (error instanceof DatabaseError && (error.code ?? '').startsWith('22'));
}

/** Null where the rows are of another server or version than the reading. */
async function readRows(
  pool: Pool,
  model: string,
  table: Table,
  question: Question,
  reading: Reading,
  prepared: Prepared,
): Promise<ModelRead | null> {
  const asked = question.kind === 'row' ? prepared.of(question.sql) : { text: pageText(model, question), name: undefined };
  const rows = await queryText(pool, asked.text, question.values, asked.name);
  const [origin, at] = rows[0] ?? [];
  if (origin !== reading.origin) return null;
  const applied = appliedOf(reading, table, BigInt(at ?? 0));
  const offsets = reading.halted.has(table.name) ? applied.position : reading.position;
  return {
    applied,
    reached: { offsets, asOf: applied.asOf },
    rows: rows.filter((row) => row[2] !== null).map((row) => row.slice(question.kind === 'row' ? 2 : 3)),
  };
}

function pageText(model: string, { sql, columns }: PageQuestion): string {
  const shown = [...[originSql(model), clockSql].map(onFirstRow), 'q.n', ...columns.map((name) => `q.${name}`)];
  return `SELECT ${shown.join(', ')} FROM (SELECT) one LEFT JOIN (${sql}) q ON true ORDER BY q.n`;
}

/** Statements of rows by key that the server keeps, parsed and planned. To plan one costs it more than to run it. */
type Prepared = { of(sql: string): { readonly text: string; readonly name: string | undefined } };

/** Each connection keeps so many at the most, whatever clients ask for: further ones are planned each time. */
const preparedMost = 200;

function createPrepared(model: string): Prepared {
  const known = new Map<string, { readonly text: string; readonly name: string | undefined }>();
  return {
    of(sql) {
      const found = known.get(sql);
      if (found !== undefined) return found;
      // The row is looked up first, and the origin after it, wherever the text has them.
      const text = `SELECT origin, at, row FROM (SELECT (${sql}) AS row, ${originSql(model)} AS origin, ${clockSql} AS at OFFSET 0) r`;
      if (known.size >= preparedMost) return { text, name: undefined };
      const made = { text, name: `by key ${known.size}` };
      known.set(sql, made);
      return made;
    },
  };
}

function onFirstRow(name: string): string {
  return `CASE WHEN q.n IS NULL OR q.n = 1 THEN ${name} END`;
}

/** Why the model cannot be read, as the operator must know it. */
function classified(config: Parameters<typeof unreachable>[0], error: unknown): CdcError {
  const code = error instanceof DatabaseError ? (error.code ?? '') : '';
  const what = `${config.user} at ${config.host}:${config.port}/${config.database}: ${describeError(error)}`;
  if (code.startsWith('28') || code === '3D000') return new CdcError('QUERY_API_LOGIN_REFUSED', what, { cause: error });
  if (code === '42501') return new CdcError('QUERY_API_GRANT_MISSING', what, { cause: error });
  return unreachable(config, error);
}
