import { dialectOf, loggedFields, polledFields, type EventFields, type SourceSession } from '#cdc-poller/fields.ts';
import type { TableId } from '#change-events/index.ts';
import {
  dataTables,
  declaredKey,
  formatsOf,
  mariadbLogImage,
  masksText,
  otherForms,
  readLogImage,
  takesIn,
  type ConnectorFile,
  type LogImage,
} from '#connectors/index.ts';
import { CdcError, type LegacyDbConfig, type PollerConfig } from '#pipeline/index.ts';
import { memberOf } from './field-shape.ts';
import type { Before, FoundTypes, TableTypes, UnfitTable } from './table-types.ts';

const application = 'cdc types';

/** The tables of a poller, as it publishes them. @throws CdcError LEGACY_… */
export async function polledTypes(legacyDb: LegacyDbConfig, poller: PollerConfig): Promise<FoundTypes> {
  await using session = await dialectOf(legacyDb).openSession(legacyDb, application, poller.statementTimeoutMs);
  const { tables, unfit } = await polledFields(session, poller);
  const types = tables.map(({ source, topic, key, row }): TableTypes => ({
    source,
    topic,
    strategy: 'query',
    key: key.map((field) => memberOf(field)),
    row: row.map((field) => memberOf(field)),
    before: { kind: 'none' },
    apart: [],
  }));
  return { tables: types, unfit };
}

/** The tables of connectors, as Debezium publishes them. @throws CdcError LEGACY_…, CONNECTOR_…, TYPES_UNCERTAIN */
export async function loggedTypes(legacyDb: LegacyDbConfig, files: readonly ConnectorFile[]): Promise<FoundTypes> {
  for (const { name, config } of files) requireContract(name, otherForms(config));
  const { replicator } = legacyDb.roles;
  // MariaDB shows a table to those only who have a right on it.
  const asReplicator = replicator === undefined ? legacyDb : { ...legacyDb, roles: { ...legacyDb.roles, poller: replicator } };
  await using session = await dialectOf(asReplicator).openSession(asReplicator, application, 60_000);
  const tables: TableTypes[] = [];
  const unfit: UnfitTable[] = [];
  for (const file of files) {
    for (const source of dataTables(file.name, file.config)) {
      const types = await loggedTable(session, legacyDb, file, source);
      if (types === null) unfit.push({ source, why: 'the database has no such table, or hides it from this role', named: true });
      else tables.push(types);
    }
  }
  return { tables, unfit };
}

function requireContract(name: string, others: readonly string[]): void {
  if (others.length === 0) return;
  throw new CdcError('TYPES_UNCERTAIN', `connector ${name} gives values other forms than docs/change-event.md has: ${others.join('; ')}`);
}

async function loggedTable(
  session: SourceSession,
  { dialect }: LegacyDbConfig,
  { config }: ConnectorFile,
  source: TableId,
): Promise<TableTypes | null> {
  const [takes, masks] = [takesIn(config), masksText(config)];
  const fields = await loggedFields(session, {
    source,
    topicPrefix: config['topic.prefix'] ?? '',
    leavesOut: (column) => !takes(source, column),
    masks: (column) => masks(source, column),
    key: declaredKey(config)(source),
    formats: formatsOf(config),
  });
  if (fields === null) return null;
  const image =
    dialect === 'mariadb'
      ? mariadbLogImage
      : await readLogImage((text, values) => session.query(text, values), source, config['publication.name'] ?? 'dbz_publication');
  return image === null ? null : typesOf(fields, image);
}

function typesOf({ source, topic, key, row }: EventFields, image: LogImage): TableTypes {
  const there = new Set(row.map(({ name }) => name));
  return {
    source,
    topic,
    strategy: 'log',
    key: key.map((field) => memberOf(field)),
    row: row.map((field) =>
      memberOf(field, {
        absent: image.absent.has(field.name),
        nullInstead: image.nullInstead.has(field.name),
        uncertain: image.uncertain.has(field.name),
      }),
    ),
    before: beforeOf(
      image.before,
      there,
      key.map(({ name }) => name),
    ),
    apart: image.apart.filter((name) => there.has(name)),
  };
}

/** An update that changes the event's key is a delete and a create. One that changes a column of the log's identity beside it has that column's old value. */
function beforeOf(identity: LogImage['before'], there: ReadonlySet<string>, key: readonly string[]): Before {
  if (identity === 'row') return { kind: 'row' };
  const columns = identity.filter((name) => there.has(name));
  if (columns.length === 0) return { kind: 'none' };
  return { kind: 'columns', columns, inUpdates: columns.some((name) => !key.includes(name)) };
}
