import type { ShapeFinding } from './unfit-codes.ts';
import {
  CdcError,
  incrementingColumn,
  isUnique,
  keyColumns,
  publishedColumns,
  tieBreakers,
  timestampColumns,
  type PollerTableConfig,
} from '#pipeline/index.ts';
import { judgeRows } from './judge-rows.ts';
import { captureOf, columnsToRead } from '../table/table-shape.ts';
import { hasFence, isTable, namesOf, type CatalogColumn, type CatalogTable } from '../table/catalog-table.ts';
import type { Words } from '../words.ts';

/** Judges a table against its configuration; gives every finding, not only the first. Pure. */
export function findProblems(table: CatalogTable, config: PollerTableConfig, role: string, words: Words): readonly ShapeFinding[] {
  const name = config.table;
  if (!table.exists) {
    const hint = table.similar.length > 0 ? `Did you mean ${table.similar.join(' or ')}? ` : '';
    return [{ code: 'TABLE_UNKNOWN', message: `table ${name} does not exist`, remedy: `${hint}Correct poller.tables in pipeline.yaml.` }];
  }
  // MariaDB shows nothing of what the user has no right to.
  if (!table.readable && table.columns.length === 0) return judgeRights(table, config, role, words);
  if (config.mode === 'incrementing' && !isTable(table)) {
    const remedy = 'Use mode timestamp or bulk.';
    return [{ code: 'TABLE_KIND', message: `${name} is not an ordinary table: there is no fence on its ids`, remedy }];
  }
  return [
    ...judgeRights(table, config, role, words),
    ...judgeRows(table, config, role, words),
    ...timestampColumns(config).flatMap((column) => judgeTimestamp(table, config, column, words)),
    ...judgeSeveralTimestamps(table, config),
    ...judgeIncrementing(table, config, words),
    ...judgeKey(table, config, words),
    ...judgeKeyTypes(table, config, words),
    ...judgeUnknownTypes(table, config),
    ...judgeSequence(table, config),
    ...judgeSelection(table, config),
  ];
}

function judgeRights(table: CatalogTable, config: PollerTableConfig, role: string, words: Words): readonly ShapeFinding[] {
  const findings: ShapeFinding[] = [];
  if (table.schemaUsable === false) {
    const { schema } = table.id;
    const remedy = `GRANT USAGE ON SCHEMA ${words.name(schema)} TO ${words.role(role)};`;
    const message = `role ${role} may not use schema ${schema}, so it cannot read table ${config.table}`;
    findings.push({ code: 'SCHEMA_USAGE_MISSING', message, remedy, who: 'owner of the schema' });
  }
  const read = columnsToRead(table, config);
  if (table.readable || (read.length > 0 && read.every(({ readable }) => readable))) return findings;
  const isSelection = config.includeColumns !== undefined || config.excludeColumns !== undefined;
  const columns = isSelection ? [...read.map(({ name }) => name), ...(hasFence(table) ? ['xmin'] : [])] : [];
  const message = `role ${role} may not read table ${config.table}`;
  return [...findings, { code: 'SELECT_MISSING', message, remedy: words.grant(table.id, columns, role), who: 'owner of the table' }];
}

function judgeTimestamp(table: CatalogTable, config: PollerTableConfig, column: string, words: Words): readonly ShapeFinding[] {
  const found = table.columns.find(({ name }) => name === column);
  if (found === undefined) return [unknownColumn(table, config, column, 'timestampColumn', words.zonedTypes)];
  const findings = judgeType(config, found, 'timestampColumn', [...words.zonedTypes, ...words.localTypes], words.zonedTypes);
  if (words.localTypes.includes(found.type.name) && !found.type.isArray && config.timeZone === undefined) {
    findings.push({
      code: 'COLUMN_TYPE_UNFIT',
      column,
      message: `column ${config.table}.${column} (timestampColumn) has no time zone, so its times cannot be compared with the server's clock`,
      remedy: 'Set timeZone to the zone in which the application writes it (Europe/Berlin, UTC).',
    });
  }
  // Of several, one that is never null suffices: judgeSeveralTimestamps.
  if (timestampColumns(config).length === 1) findings.push(...judgeNull(table, config, found, 'timestampColumn', words));
  return findings;
}

function judgeSeveralTimestamps(table: CatalogTable, config: PollerTableConfig): readonly ShapeFinding[] {
  const names = timestampColumns(config);
  const found = names.flatMap((name) => table.columns.filter((column) => column.name === name));
  if (names.length < 2 || found.length < names.length) return [];
  const findings: ShapeFinding[] = [];
  const what = `columns ${names.join(', ')} of ${config.table} (timestampColumn)`;
  if (new Set(found.map(({ type }) => type.name)).size > 1) {
    findings.push({ code: 'COLUMN_TYPE_UNFIT', message: `${what} have different types`, remedy: 'Name columns of one type.' });
  }
  if (isTable(table) && !found.some(({ notNull }) => notNull)) {
    const remedy = 'Name one more that is NOT NULL at the end, as the time of creation.';
    findings.push({ code: 'COLUMN_NULLABLE', message: `${what} may all be null, and such a row would never be read`, remedy });
  }
  return findings;
}

function judgeIncrementing(table: CatalogTable, config: PollerTableConfig, words: Words): readonly ShapeFinding[] {
  const { mode, incrementingColumn: column } = config;
  const { idTypes, orderedTypes } = words;
  if (mode !== 'incrementing' && mode !== 'timestamp+incrementing') return [];
  const found = table.columns.find(({ name }) => name === column);
  if (found === undefined) return [unknownColumn(table, config, column, 'incrementingColumn', idTypes)];
  const types = mode === 'incrementing' ? idTypes : orderedTypes;
  return [
    ...judgeType(config, found, 'incrementingColumn', types, idTypes),
    ...judgeNull(table, config, found, 'incrementingColumn', words),
  ];
}

function judgeKey(table: CatalogTable, config: PollerTableConfig, words: Words): readonly ShapeFinding[] {
  const { table: name, mode, key: declared } = config;
  const { idTypes } = words;
  const key = keyColumns(table, config);
  const findings: ShapeFinding[] = [];
  if (key.length === 0) {
    findings.push({ code: 'KEY_UNFIT', message: `${name} has no primary key, and mode ${mode} needs a key`, remedy: keyRemedy(table) });
  }
  for (const column of key) {
    if (declared === undefined && !table.primaryKey.includes(column)) continue;
    const found = table.columns.find((other) => other.name === column);
    if (found === undefined) findings.push(unknownColumn(table, config, column, 'key', idTypes));
    else if (declared !== undefined) findings.push(...judgeNull(table, config, found, 'key', words));
  }
  const order = [...timestampColumns(config), ...tieBreakers(table, config)];
  const known = order.every((column) => table.columns.some(({ name: other }) => other === column));
  if (declared === undefined && known && key.length > 0 && isTable(table) && !isUnique(table, order)) {
    findings.push({
      code: 'KEY_UNFIT',
      message: `nothing says that ${order.join(', ')} names one row of ${name}: rows that are equal there may be lost between pages`,
      remedy: uniqueRemedy(table, key),
    });
  }
  if (declared === undefined && !isTable(table) && mode !== 'bulk') {
    const remedy = keyRemedy(table);
    findings.push({ code: 'KEY_UNFIT', message: `${name} is a view or a query: nothing says what its key is`, remedy });
  }
  return findings;
}

/** Rows that differ to the database differ in their events' keys, and one row has one key. In mode incrementing no row is read twice. */
function judgeKeyTypes(table: CatalogTable, config: PollerTableConfig, words: Words): readonly ShapeFinding[] {
  return keyColumns(table, config).flatMap((name) => {
    const column = table.columns.find((other) => other.name === name);
    const misfit = column === undefined ? null : words.keyMisfit(column);
    if (column === undefined || misfit === null) return [];
    const isPromised = config.mode === 'incrementing' || config.keysAsWritten;
    if (misfit.kind === 'variants' && isPromised) return [];
    // judgeIncrementing has reported it.
    if (name === incrementingColumn(config) && (column.type.isArray || !words.orderedTypes.includes(column.type.name))) return [];
    const promise =
      misfit.kind === 'variants' ? '; or set keysAsWritten: true, if the application never writes a key that is there in another way' : '';
    return [
      {
        code: 'KEY_UNFIT',
        message: `column ${config.table}.${name} belongs to the key and has type ${typeName(column)}: ${misfit.reason}`,
        remedy: `Declare another key: columns that are unique and not null together${promise}.`,
      },
    ];
  });
}

/** Whatever the poller is not certain of is not read. */
function judgeUnknownTypes(table: CatalogTable, config: PollerTableConfig): readonly ShapeFinding[] {
  return columnsToRead(table, config).flatMap(({ name, unknownPart, ...column }) => {
    if (unknownPart === null || unknownPart === undefined) return [];
    const type = typeName(column);
    const part = type.replace(/\[\]$/, '') === unknownPart ? '' : `, which has a part of type ${unknownPart}`;
    return [
      {
        code: 'COLUMN_TYPE_UNKNOWN',
        message: `column ${config.table}.${name} has type ${type}${part}: the poller does not know that its text is the whole value`,
        remedy: `Leave it out (excludeColumns: [${JSON.stringify(name)}]), or declare a query that casts it to a type that is known, as text.`,
      },
    ];
  });
}

function typeName({ type }: Pick<CatalogColumn, 'type'>): string {
  return type.isArray ? `${type.name}[]` : type.name;
}

function wholeKey({ columns, uniqueKeys }: CatalogTable): string | null {
  const whole = uniqueKeys.find((unique) => unique.every((name) => columns.some((column) => column.name === name && column.notNull)));
  return whole === undefined ? null : `Declare key: [${whole.map(inYaml).join(', ')}], which is unique and not null.`;
}

function keyRemedy(table: CatalogTable): string {
  return (
    wholeKey(table) ?? 'Declare key: the columns that are unique and not null together; if there are none, use the log-based strategy.'
  );
}

/** A unique index would be surer, but makes the INSERT fail that repeats a key. */
function uniqueRemedy(table: CatalogTable, key: readonly string[]): string {
  const otherwise = `If no two rows ever have the same, declare key: [${key.map(inYaml).join(', ')}]; else use the log-based strategy.`;
  return wholeKey(table) ?? otherwise;
}

/** An id floor is true only of ids that ascend in the order in which they are drawn (fence/floor.ts). */
function judgeSequence(table: CatalogTable, config: PollerTableConfig): readonly ShapeFinding[] {
  if (!['id', 'id-window'].includes(captureOf(table, config))) return [];
  const { sequence } = table;
  const column = `${config.table}.${config.incrementingColumn}`;
  if (sequence === null) {
    if (config.idsAscend || !table.columns.some(({ name }) => name === config.incrementingColumn)) return [];
    return [
      {
        code: 'SEQUENCE_UNFIT',
        column: config.incrementingColumn,
        message: `no sequence gives ${column} its values, so that nothing says that ids ascend in the order in which they are drawn`,
        remedy:
          'Use a timestamp mode; or declare idsAscend: true, if each id is higher than all before it and drawn in the transaction that inserts it (no blocks handed out ahead, as by a pooled hi/lo generator).',
      },
    ];
  }
  const findings: ShapeFinding[] = [];
  if (sequence.cache > 1n) {
    findings.push({
      code: 'SEQUENCE_UNFIT',
      message: `sequence ${sequence.name} of ${column} hands out blocks of ${sequence.cache} ids to each session (CACHE): low ids may come at any time`,
      remedy: `ALTER SEQUENCE ${sequence.name} CACHE 1;\nThen let the application reconnect, because its sessions keep the blocks they have; or use a timestamp mode.`,
      who: 'owner of the sequence',
      column: config.incrementingColumn,
    });
  }
  if (sequence.increment < 1n || sequence.cycles) {
    const what = sequence.cycles ? 'begins again at its end (CYCLE)' : 'counts down';
    const message = `sequence ${sequence.name} of ${column} ${what}`;
    findings.push({ code: 'SEQUENCE_UNFIT', message, remedy: 'Use a timestamp mode.', column: config.incrementingColumn });
  }
  return findings;
}

function judgeSelection(table: CatalogTable, config: PollerTableConfig): readonly ShapeFinding[] {
  const findings: ShapeFinding[] = [];
  const { includeColumns = [], excludeColumns = [], mask = {} } = config;
  const settings = { includeColumns, excludeColumns, mask: Object.keys(mask) };
  for (const [setting, columns] of Object.entries(settings)) {
    for (const column of columns) {
      if (!table.columns.some(({ name }) => name === column)) findings.push(unknownColumn(table, config, column, setting, []));
    }
  }
  const published = publishedColumns(namesOf(table), config);
  for (const column of keyColumns(table, config)) {
    const isThere = table.columns.some(({ name }) => name === column);
    const what = !Object.hasOwn(mask, column) ? (published.includes(column) ? null : 'left out of events') : 'masked';
    if (!isThere || what === null) continue;
    const remedy = 'Leave key columns as they are, or declare another key.';
    findings.push({ code: 'KEY_UNFIT', message: `column ${config.table}.${column} belongs to the key and cannot be ${what}`, remedy });
  }
  return findings;
}

function judgeType(
  { table }: PollerTableConfig,
  { name, type }: CatalogColumn,
  setting: string,
  types: readonly string[],
  usual: readonly string[],
): ShapeFinding[] {
  if (!type.isArray && types.includes(type.name)) return [];
  const actual = typeName({ type });
  const remedy = `Choose a column of type ${usual.join(' or ')} as ${setting}, or use the log-based strategy.`;
  return [{ code: 'COLUMN_TYPE_UNFIT', message: `column ${table}.${name} (${setting}) has type ${actual}`, remedy, column: name }];
}

/** Not known of views and queries; a null there is reported when it comes. */
function judgeNull(
  table: CatalogTable,
  config: PollerTableConfig,
  { name, notNull }: CatalogColumn,
  setting: string,
  words: Words,
): readonly ShapeFinding[] {
  if (notNull || !isTable(table)) return [];
  const message = `column ${config.table}.${name} (${setting}) may be null, and a row with null there would never be read`;
  return [{ code: 'COLUMN_NULLABLE', message, remedy: nullRemedy(table, name, setting, words), column: name }];
}

/** To make the column NOT NULL is no remedy: the statement of the application that writes a null there would fail. */
function nullRemedy({ columns }: CatalogTable, column: string, setting: string, words: Words): string {
  const isTime = setting === 'timestampColumn';
  const type = columns.find(({ name }) => name === column)?.type.name ?? '';
  const types = isTime ? [type] : words.idTypes;
  const others = columns.filter((one) => one.notNull && !one.type.isArray && types.includes(one.type.name)).map(({ name }) => name);
  const otherwise = `${setting === 'key' ? 'use' : 'Use mode bulk, or'} the log-based strategy.`;
  if (setting === 'key') return `Declare key: columns that are unique and not null together; or ${otherwise}`;
  if (others.length === 0) return otherwise;
  const choice = isTime
    ? `Name one that is never null after it, as the time of creation: timestampColumn: [${inYaml(column)}, …] with one of ${others.join(', ')}.`
    : `Set ${setting} to one that is never null (${others.join(', ')}).`;
  return `${choice} ${otherwise}`;
}

function unknownColumn(
  { columns }: CatalogTable,
  { table }: PollerTableConfig,
  column: string,
  setting: string,
  types: readonly string[],
): ShapeFinding {
  const fit = columns.filter(({ type }) => types.length === 0 || (!type.isArray && types.includes(type.name))).map(({ name }) => name);
  const remedy =
    fit.length > 0
      ? `Set ${setting} to one of ${fit.join(', ')}.`
      : `No column has a type that fits (${types.join(', ')}): use another mode, or the log-based strategy.`;
  return { code: 'COLUMN_UNKNOWN', message: `table ${table} has no column ${column} (${setting})`, remedy, column };
}

/** The remedy with who can carry it out. */
export function remedyOf({ remedy, who }: ShapeFinding): string {
  return who === undefined ? remedy : `As the ${who}: ${remedy}`;
}

function inYaml(name: string): string {
  return /^[a-z_]\w*$/i.test(name) ? name : JSON.stringify(name);
}

/** One error for all findings, each with its remedy. */
export function problemsError(findings: readonly ShapeFinding[]): CdcError {
  const [first] = findings;
  if (first === undefined) throw new RangeError('no findings');
  if (findings.length === 1) return new CdcError(first.code, first.message, { remedy: remedyOf(first) });
  return new CdcError('TABLES_UNFIT', findings.map((one) => `${one.message}. ${remedyOf(one)}`).join('\n'));
}
