import {
  CdcError,
  describeError,
  postgresClientConfig,
  sessionSql,
  type FallbackConfig,
  type LegacyDbConfig,
  type Logger,
  type QueryApiConfig,
} from '#pipeline/index.ts';
import { openPool, queryText } from '#read-model/index.ts';
import { codeOf, postgresFailure } from '../../http/postgres-failures.ts';
import { createGuard, type Guard } from '../../resilience/guard.ts';
import { queryOf, type Asked } from '../http/table-answer.ts';
import type { ListQuery } from '../lists/list-query.ts';
import { pageQuestion } from '../lists/page-sql.ts';
import type { Table } from '../model/catalogue.ts';
import type { Read } from '../model/reader.ts';
import { excessOf } from '../model/role.ts';
import { hasOneOrder, readSourceTable, type SourceTable } from './source-table.ts';

/** The legacy database, asked for what a mirror would give. Few questions at once, each short, and none while it is in trouble itself. */
export type LegacyReader = AsyncDisposable & {
  /**
   * The rows as they are now in the source, or were some time ago in a standby of it, which says no time; null for what only the model has: a projection, a
   * row that is marked as deleted, a list that no index of the source serves.
   *
   * @throws Refused; Problem for a question that is wrong; what Postgres throws
   */
  read(mirror: Table, asked: Asked): Promise<LegacyRead | null>;
  /** Once, that the role reads only. @throws CdcError QUERY_API_FALLBACK_ROLE_TOO_STRONG, LEGACY_DB_UNREACHABLE, LEGACY_LOGIN_REFUSED */
  check(): Promise<void>;
  readonly guard: Guard;
};

export type LegacyRead = {
  readonly read: Read & { readonly table: Table };
  readonly query: ListQuery;
};

type LegacyReaderOptions = {
  readonly legacyDb: LegacyDbConfig;
  readonly settings: NonNullable<FallbackConfig['legacy']>;
  readonly queryApi: QueryApiConfig;
  readonly logger: Logger;
};

/** A table that was altered or has a new index is noticed so soon. */
const describedForMs = 60_000;

export function openLegacyReader({ legacyDb, settings, queryApi, logger }: LegacyReaderOptions): LegacyReader {
  const { timeoutMs, concurrent } = settings;
  const location = { ...legacyDb, host: settings.host ?? legacyDb.host, port: settings.port ?? legacyDb.port };
  // Another server is not the source, even where it could be written to: it may have been promoted while the source goes on.
  const isSource = location.host === legacyDb.host && location.port === legacyDb.port;
  const config = {
    ...postgresClientConfig(location, settings, 'cdc query-api fallback'),
    connectionTimeoutMillis: timeoutMs,
    query_timeout: timeoutMs + 1000,
  };
  const session = sessionSql({
    default_transaction_read_only: 'on',
    statement_timeout: String(timeoutMs),
    lock_timeout: String(timeoutMs),
    DateStyle: 'ISO, YMD',
    IntervalStyle: 'iso_8601',
    TimeZone: 'UTC',
    bytea_output: 'hex',
    extra_float_digits: '1',
    lc_monetary: 'C',
    jit: 'off',
  });
  const pool = openPool(config, logger, concurrent, session);
  // A statement that takes too long is a fault here too: the legacy system has no time for it.
  const guard = createGuard('legacy', settings, (error) => ['away', 'timeout'].includes(postgresFailure(error) ?? ''), logger);
  const described = new Map<string, { readonly source: SourceTable | null; readonly at: number }>();
  let checked = false;
  const check = async (): Promise<void> => {
    if (checked) return;
    const { role, excess } = await excessOf(pool);
    if (excess !== '')
      throw new CdcError(
        'QUERY_API_FALLBACK_ROLE_TOO_STRONG',
        `role ${role} of the legacy database ${excess}: the fallback needs one that reads only`,
      );
    checked = true;
  };
  const sourceOf = async (mirror: Table): Promise<SourceTable | null> => {
    const known = described.get(mirror.name);
    if (known !== undefined && performance.now() - known.at < describedForMs) return known.source;
    const source = await readSourceTable(pool, mirror);
    described.set(mirror.name, { source, at: performance.now() });
    return source;
  };
  return {
    guard,
    async check() {
      try {
        await check();
      } catch (error) {
        if (error instanceof CdcError) throw error;
        const what = `${settings.user} at ${location.host}:${location.port}/${location.database}: ${describeError(error)}`;
        const isLogin = codeOf(error).startsWith('28');
        throw new CdcError(isLogin ? 'LEGACY_LOGIN_REFUSED' : 'LEGACY_DB_UNREACHABLE', what, { cause: error });
      }
    },
    async read(mirror, asked) {
      if (mirror.source === null) return null;
      return guard.run(async () => {
        await check();
        const source = await sourceOf(mirror);
        const query = source === null ? null : askable(queryOf(queryApi, mirror, asked), queryApi, source.table, asked);
        if (source === null || query === null) return null;
        try {
          const { sql, columns, values } = pageQuestion({ from: source.from }, source.table, query, queryApi.maxAnswerBytes);
          // The time first: whatever was committed before it is in the snapshot of the same statement. A standby may be behind, nobody knows how far.
          const rows = await queryText(
            pool,
            `WITH q AS (${sql}) SELECT trunc(extract(epoch FROM c.at) * 1000000)::bigint, q.n, ${columns.map((name) => `q.${name}`).join(', ')}
               FROM (SELECT CASE WHEN ${isSource} AND NOT pg_is_in_recovery() THEN statement_timestamp() END AS at) c LEFT JOIN q ON true ORDER BY q.n`,
            values,
          );
          const at = rows[0]?.[0];
          const asOf = typeof at === 'string' ? BigInt(at) : null;
          const applied = { fingerprint: '', position: new Map<string, bigint>(), asOf, stalenessMs: asOf === null ? null : 0n };
          return { query, read: { table: source.table, applied, rows: rows.filter((row) => row[1] !== null).map((row) => row.slice(2)) } };
        } catch (error) {
          // Another shape than it had: it is looked at again.
          described.delete(mirror.name);
          throw error;
        }
      });
    },
    [Symbol.asyncDispose]: () => pool.end(),
  };
}

/** The same question to the source; null when its indexes do not serve it, or deleted rows are asked for. `query`: to the mirror, and a right one. */
function askable(query: ListQuery, queryApi: QueryApiConfig, source: Table, asked: Asked): ListQuery | null {
  if (query.withDeleted || !hasOneOrder(query)) return null;
  const parameters = new URLSearchParams([...asked.parameters].filter(([name]) => name !== 'deleted'));
  try {
    return queryOf(queryApi, source, { ...asked, parameters });
  } catch {
    return null;
  }
}
