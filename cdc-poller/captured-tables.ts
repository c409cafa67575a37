/**
 * What a source's tables look like in their events: for whoever makes tables of them. The poller's as it publishes them, with its columns, masks and keys; any others as the
 * catalogue has them.
 */
import { topicName, type CapturedTable, type CapturedTables, type TableId } from '#change-events/index.ts';
import {
  CdcError,
  formatTableName,
  keyColumns,
  parseTableName,
  publishedColumns,
  type LegacyDbConfig,
  type PollerConfig,
  type PollerTableConfig,
} from '#pipeline/index.ts';
import { dialectOf } from './dialects.ts';
import { judgeTable } from './judge.ts';
import type { CatalogColumn } from './source/table/catalog-table.ts';
import type { Dialect, SourceSession } from './source/dialect.ts';
import { discoverTables } from './source/table/table-discovery.ts';

const application = 'cdc read-model';

/** The tables of a poller, patterns included. What it would refuse is unfit, for the poller's own reason. @throws CdcError LEGACY_… */
export async function polledTables(legacyDb: LegacyDbConfig, poller: PollerConfig): Promise<CapturedTables> {
  await using session = await dialectOf(legacyDb).openSession(legacyDb, application, poller.statementTimeoutMs);
  const tables: CapturedTable[] = [];
  const unfit: { source: TableId; why: string }[] = [];
  const identity = await session.dialect.readIdentity(session);
  const found = await discoverTables(session, poller, ({ table, findings }) =>
    unfit.push({ source: idOf(table), why: findings[0]?.message ?? '' }),
  );
  for (const config of found) {
    const source = idOf(config.table);
    const { catalog, findings } = await judgeTable(session, identity, config);
    const [first] = findings;
    if (first !== undefined || catalog === null) unfit.push({ source, why: `the poller refuses it (${first?.code}): ${first?.message}` });
    else if (config.topic !== undefined && config.topic !== topicName(poller.topicPrefix, source))
      unfit.push({ source, why: `its topic is ${config.topic}, and a mirror follows ${topicName(poller.topicPrefix, source)} only` });
    else tables.push(polledTable(session, config, catalog));
  }
  return { tables, unfit };
}

function polledTable({ dialect }: SourceSession, config: PollerTableConfig, catalog: CatalogOf): CapturedTable {
  const published = new Set(
    publishedColumns(
      catalog.columns.map(({ name }) => name),
      config,
    ),
  );
  return {
    source: idOf(config.table),
    columns: catalog.columns
      .filter(({ name }) => published.has(name))
      .map((column) => {
        const masked = maskedType(config, column.name);
        return masked === null
          ? { name: column.name, type: dialect.mirrorType(column, 'query'), ...heldBy(dialect, column) }
          : { name: column.name, type: masked };
      }),
    key: keyColumns(catalog, config),
  };
}

type CatalogOf = NonNullable<Awaited<ReturnType<typeof judgeTable>>['catalog']>;

/** A mask is no value of its column; null for a column without one. */
function maskedType({ mask = {} }: PollerTableConfig, column: string): string | null {
  const how = Object.hasOwn(mask, column) ? mask[column] : undefined;
  if (how === undefined || how === 'null') return null;
  if (how === 'hash' || typeof how.fixed === 'string') return 'text';
  return typeof how.fixed === 'boolean' ? 'boolean' : 'numeric';
}

/**
 * Tables that a connector captures.
 *
 * @param leavesOut whether the connector leaves the column out of its events
 * @param keyOf the key that the connector's file gives a table, null where it gives none: then it is the primary key
 */
export async function loggedTables(
  legacyDb: LegacyDbConfig,
  ids: readonly TableId[],
  leavesOut: (table: TableId, column: string) => boolean,
  keyOf: (table: TableId) => readonly string[] | null,
): Promise<CapturedTables> {
  const { replicator } = legacyDb.roles;
  // MariaDB shows a table to those only who have a right on it.
  const config = replicator === undefined ? legacyDb : { ...legacyDb, roles: { ...legacyDb.roles, poller: replicator } };
  const dialect = dialectOf(config);
  await using session = await dialect.openSession(config, application, 60_000);
  const tables: CapturedTable[] = [];
  const unfit: { source: TableId; why: string }[] = [];
  for (const source of ids) {
    const catalog = await dialect.readCatalog(session, { table: formatTableName(source), incrementingColumn: 'id' });
    if (!catalog.exists) {
      unfit.push({ source, why: 'the source has no such table, or hides it from this role' });
      continue;
    }
    const columns = catalog.columns.filter(({ name }) => !leavesOut(source, name));
    tables.push({
      source,
      columns: columns.map((column) => ({
        name: column.name,
        type: dialect.mirrorType(column, 'log'),
        bytes: dialect.writtenAsBytes?.(column) ?? false,
        ...heldBy(dialect, column),
      })),
      key: keyOf(source) ?? catalog.primaryKey,
    });
  }
  return { tables, unfit };
}

function heldBy(dialect: Dialect, column: CatalogColumn): { readonly extensionType?: string } {
  const extensionType = dialect.extensionType?.(column) ?? null;
  return extensionType === null ? {} : { extensionType };
}

function idOf(table: string): TableId {
  const id = parseTableName(table);
  if (id === null) throw new CdcError('CONFIG_INVALID', `${table}: expected schema.table`);
  return id;
}
