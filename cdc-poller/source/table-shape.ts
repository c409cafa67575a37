import type { TableId } from '#change-events/index.ts';
import { CdcError, type ErrorCode, type PollerTableConfig } from '#pipeline/index.ts';
import type { ColumnType } from '../encoding/value-encoders.ts';

/** A column as the catalogue tells it. */
export type CatalogColumn = { readonly name: string; readonly type: ColumnType; readonly notNull: boolean };

/** What the catalogue tells of a table; `columns` empty and `exists` false when there is none. */
export type CatalogTable = {
  readonly id: TableId;
  readonly exists: boolean;
  /** pg_class.relkind: r table, p partitioned, v view, m materialised view, f foreign table. */
  readonly kind: string;
  readonly readable: boolean;
  readonly columns: readonly CatalogColumn[];
  /** Names of the primary key's columns in key order; empty without one. */
  readonly primaryKey: readonly string[];
  /** Whether an index begins with (timestamp column, incrementing column). */
  readonly indexed: boolean;
  /** Tables that do exist, to name the one that was meant. */
  readonly similar: readonly string[];
};

/** A table that can be polled: columns found and fit. */
export type TableShape = {
  readonly id: TableId;
  readonly columns: readonly CatalogColumn[];
  /** Indexes in `columns`. */
  readonly key: readonly number[];
  readonly timestamp: number;
  readonly incrementing: number;
};

export type ShapeFinding = { readonly code: ErrorCode; readonly message: string; readonly remedy: string };

const timestampTypes: readonly string[] = ['timestamptz'];
const incrementingTypes: readonly string[] = ['int2', 'int4', 'int8'];

/** Judges a table against its configuration; gives every finding, not only the first. Pure. */
export function findProblems(table: CatalogTable, config: PollerTableConfig, role: string): readonly ShapeFinding[] {
  const name = config.table;
  if (!table.exists) {
    const hint = table.similar.length > 0 ? `Did you mean ${table.similar.join(' or ')}? ` : '';
    return [{ code: 'TABLE_UNKNOWN', message: `table ${name} does not exist`, remedy: `${hint}Correct poller.tables in pipeline.yaml.` }];
  }
  if (table.kind !== 'r') {
    return [{ code: 'TABLE_UNKNOWN', message: `${name} is not an ordinary table`, remedy: 'Name an ordinary table in poller.tables.' }];
  }
  const findings: ShapeFinding[] = [];
  if (!table.readable) {
    const remedy = `As the owner: GRANT USAGE ON SCHEMA ${table.id.schema} TO ${role}; GRANT SELECT ON ${name} TO ${role};`;
    findings.push({ code: 'SELECT_MISSING', message: `role ${role} may not read table ${name}`, remedy });
  }
  findings.push(...judgeColumn(table, name, config.timestampColumn, 'timestampColumn', timestampTypes));
  findings.push(...judgeColumn(table, name, config.incrementingColumn, 'incrementingColumn', incrementingTypes));
  return findings;
}

function judgeColumn(
  { columns }: CatalogTable,
  table: string,
  column: string,
  setting: 'timestampColumn' | 'incrementingColumn',
  types: readonly string[],
): readonly ShapeFinding[] {
  const found = columns.find(({ name }) => name === column);
  if (found === undefined) {
    const fit = columns.filter(({ type }) => !type.isArray && types.includes(type.name)).map(({ name }) => name);
    const remedy =
      fit.length > 0
        ? `Set ${setting} to one of ${fit.join(', ')}.`
        : `No column has a type that fits (${types.join(', ')}): use the log-based strategy.`;
    return [{ code: 'COLUMN_UNKNOWN', message: `table ${table} has no column ${column} (${setting})`, remedy }];
  }
  const findings: ShapeFinding[] = [];
  if (found.type.isArray || !types.includes(found.type.name)) {
    const actual = found.type.isArray ? `${found.type.name}[]` : found.type.name;
    const remedy = `Choose a column of type ${types.join(' or ')} as ${setting}, or use the log-based strategy.`;
    findings.push({ code: 'COLUMN_TYPE_UNFIT', message: `column ${table}.${column} (${setting}) has type ${actual}`, remedy });
  }
  if (!found.notNull) {
    const remedy = `As the owner: UPDATE ${table} SET ${column} = … WHERE ${column} IS NULL; ALTER TABLE ${table} ALTER COLUMN ${column} SET NOT NULL; or choose another column.`;
    findings.push({
      code: 'COLUMN_NULLABLE',
      message: `column ${table}.${column} (${setting}) may be null, and a row with null there would never be read`,
      remedy,
    });
  }
  return findings;
}

/** The shape of a table that {@link findProblems} found nothing wrong with. Without a primary key the incrementing column is the key. */
export function shapeOf(table: CatalogTable, config: PollerTableConfig): TableShape {
  const indexOf = (name: string): number => {
    const index = table.columns.findIndex((column) => column.name === name);
    if (index < 0) throw new CdcError('COLUMN_UNKNOWN', `table ${config.table} has no column ${name}`);
    return index;
  };
  const key = table.primaryKey.length > 0 ? table.primaryKey : [config.incrementingColumn];
  return {
    id: table.id,
    columns: table.columns,
    key: key.map(indexOf),
    timestamp: indexOf(config.timestampColumn),
    incrementing: indexOf(config.incrementingColumn),
  };
}

/** One error for all findings, each with its remedy. */
export function problemsError(findings: readonly ShapeFinding[]): CdcError {
  const [first] = findings;
  if (first === undefined) throw new RangeError('no findings');
  if (findings.length === 1) return new CdcError(first.code, first.message, { remedy: first.remedy });
  return new CdcError('TABLES_UNFIT', findings.map(({ message, remedy }) => `${message}. ${remedy}`).join('\n'));
}
