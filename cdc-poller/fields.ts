/**
 * What events of a table have, column by column, for whoever describes them elsewhere (types/): from the same catalogue, encoders and judge that the poller
 * goes by, also for tables that a connector captures. Read-only.
 */
import { topicName, type TableId } from '#change-events/index.ts';
import { formatTableName, parseTableName, CdcError, type PollerConfig, type PollerTableConfig } from '#pipeline/index.ts';
import type { EventColumn } from './encoding/event-encoder.ts';
import { judgeTable } from './judge.ts';
import type { ColumnDetail, DeclaredAs, FieldType } from './schemas/field-type.ts';
import { tableFields, type ColumnField, type FieldsShape } from './schemas/table-fields.ts';
import type { CatalogColumn } from './source/table/catalog-table.ts';
import type { Dialect, SourceSession } from './source/dialect.ts';
import { problemsError } from './source/judge/judge-table.ts';
import { discoverTables } from './source/table/table-discovery.ts';
import { eventTopic } from './supervisor/topics.ts';

export { dialectOf } from './dialects.ts';
export type { FieldType, PlainType } from './schemas/field-type.ts';
export type { SourceSession } from './source/dialect.ts';

/** How keys and values are written. */
export type WireFormats = { readonly key: PollerConfig['format']; readonly value: PollerConfig['format'] };

/** A column of a key or a row, as events have it. */
export type EventField = {
  readonly name: string;
  /** `structure`: an object or a list, as Debezium makes one of the value. */
  readonly type: FieldType | 'structure';
  readonly nullable: boolean;
  /** As the database declares it. Undefined where it does not say: of a query, of a mask. */
  readonly declared: DeclaredAs | undefined;
  /** The values of an enum, or of an array's elements. */
  readonly labels: readonly string[] | null;
  readonly masked: boolean;
};

export type EventFields = {
  readonly source: TableId;
  readonly topic: string;
  /** Empty where events have no key. */
  readonly key: readonly EventField[];
  readonly row: readonly EventField[];
};

/** A table without fields, and why. `named`: the configuration names it, rather than a pattern that it happens to match. */
export type UnfitFields = { readonly source: TableId; readonly why: string; readonly named: boolean };

export type FoundFields = { readonly tables: readonly EventFields[]; readonly unfit: readonly UnfitFields[] };

/** Of all tables of a poller, patterns included. What it would refuse is unfit, for the poller's own reason. @throws CdcError LEGACY_… */
export async function polledFields(session: SourceSession, poller: PollerConfig): Promise<FoundFields> {
  const tables: EventFields[] = [];
  const unfit: UnfitFields[] = [];
  const identity = await session.dialect.readIdentity(session);
  const found = await discoverTables(session, poller, ({ table, findings }) =>
    unfit.push({ source: idOf(table), why: findings[0]?.message ?? '', named: false }),
  );
  for (const config of found) {
    const { findings, shape } = await judgeTable(session, identity, config, poller.maskSecret);
    if (shape === null || findings.length > 0) {
      unfit.push({ source: idOf(config.table), why: problemsError(findings).message, named: true });
      continue;
    }
    const formats = { key: poller.format, value: poller.format };
    const fields = await fieldsOf(session, { ...shape, table: shape.id }, formats, 'query');
    tables.push({ source: shape.id, topic: eventTopic(poller, config), ...fields });
  }
  return { tables, unfit };
}

/** A table that a connector captures. */
export type LoggedTable = {
  readonly source: TableId;
  readonly topicPrefix: string;
  /** Whether its events leave the column out. */
  readonly leavesOut: (column: string) => boolean;
  /** Whether they have something else in place of the column's text. */
  readonly masks: (column: string) => boolean;
  /** As the connector's file gives it; null: the primary key. */
  readonly key: readonly string[] | null;
  readonly formats: WireFormats;
};

/** Of one table, whether it can be polled or not. Null: the database has no such table, or hides it from this role. @throws CdcError LEGACY_… */
export async function loggedFields(session: SourceSession, logged: LoggedTable): Promise<EventFields | null> {
  const { source, topicPrefix } = logged;
  const catalog = await session.dialect.readCatalog(session, { table: formatTableName(source), incrementingColumn: 'id' });
  if (!catalog.exists) return null;
  const columns = catalog.columns.filter(({ name }) => !logged.leavesOut(name));
  const names = columns.map(({ name }) => name);
  const key = (logged.key ?? catalog.primaryKey).map((name) => names.indexOf(name)).filter((index) => index >= 0);
  const published = columns.map((_, column) => ({ column, mask: null }));
  const fields = await fieldsOf(session, { table: source, query: null, columns, published, key }, logged.formats, 'log');
  const row = fields.row.map((field) => (logged.masks(field.name) ? { ...field, labels: null, masked: true } : field));
  return { source, topic: topicName(topicPrefix, source), key: fields.key, row };
}

type Shape = FieldsShape & { readonly table: TableId; readonly query: string | null; readonly columns: readonly CatalogColumn[] };

async function fieldsOf(
  session: SourceSession,
  shape: Shape,
  formats: WireFormats,
  capturedBy: 'query' | 'log',
): Promise<Pick<EventFields, 'key' | 'row'>> {
  const { dialect } = session;
  const details = await dialect.readColumnDetails(session, { ...shape, id: shape.table });
  const { key, row } = tableFields(shape, details, dialect.fieldTypes, dialect.encodeColumn);
  const made = ({ index, field, mask }: ColumnField, format: PollerConfig['format']): EventField => {
    const column = shape.columns[index];
    if (column === undefined) throw new RangeError(`column ${index} of ${shape.columns.length}`);
    const detail = details.get(column.name);
    const { column: name, nullable } = field;
    if (mask !== null) return { name, type: field.type, nullable, declared: undefined, labels: null, masked: true };
    const type = typeInEvents(dialect, column, field.type, format, capturedBy);
    const declared = shape.query === null ? dialect.fieldTypes.declaredAs(column.type, detail) : undefined;
    return { name, type, nullable, declared, labels: labelsOf(detail, column, capturedBy), masked: false };
  };
  return { key: key.map((field) => made(field, formats.key)), row: row.map((field) => made(field, formats.value)) };
}

/** A field's type is that of a schema. Without one, what the column's encoder writes as a number is a number; and the log may have another form of the value. */
function typeInEvents(
  dialect: Dialect,
  column: CatalogColumn,
  type: FieldType,
  format: PollerConfig['format'],
  capturedBy: 'query' | 'log',
): EventField['type'] {
  if (capturedBy === 'log' && dialect.writtenAsStructure?.(column) === true && type.base !== 'array') return 'structure';
  if (format !== 'avro' && type.base === 'string' && writesNumber(dialect, column)) return { base: 'long' };
  return type;
}

function writesNumber(dialect: Dialect, column: EventColumn): boolean {
  try {
    return dialect.encodeColumn(column)('7') === '7';
  } catch {
    return false;
  }
}

/** The log of MariaDB puts a backslash before a comma in a label, while its snapshot does not. */
function labelsOf(detail: ColumnDetail | undefined, column: CatalogColumn, capturedBy: 'query' | 'log'): readonly string[] | null {
  const labels = detail?.labels;
  if (labels === undefined) return null;
  if (capturedBy === 'query' || column.type.name !== 'enum') return labels;
  return [...new Set(labels.flatMap((label) => [label, label.replaceAll(',', String.raw`\,`)]))];
}

function idOf(table: PollerTableConfig['table']): TableId {
  const id = parseTableName(table);
  if (id === null) throw new CdcError('CONFIG_INVALID', `${table}: expected schema.table`);
  return id;
}
