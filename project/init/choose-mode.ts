import type { CatalogTable } from '#cdc-poller/judge.ts';

/** How a table might be polled: settings of poller.tables, and why these. */
export type ModeChoice = {
  readonly settings: { readonly mode: string; readonly [setting: string]: unknown };
  readonly because: string;
};

/** Names that say of a column that each update sets it. A business date (`paid_at`, `due_date`) says nothing of the kind. */
const updateNames =
  /^(?:(?:last_?)?(?:updated?|modified|modification|changed?)(?:_?(?:at|on|date|time|timestamp|ts|dt))?|(?:row_?)?(?:update|mod|change)_?(?:ts|time|date)|last_?(?:update|change|mod))$/i;

const timeTypes: ReadonlySet<string> = new Set(['timestamptz', 'timestamp', 'datetime', 'timestamp with time zone']);
const integerTypes: ReadonlySet<string> = new Set(['int2', 'int4', 'int8', 'tinyint', 'smallint', 'mediumint', 'int', 'bigint', 'integer']);

/** A whole table is read every so often: small ones only. */
const bulkEveryMs = 60_000;

/**
 * The ways to poll a table, the best first: the judge says which of them it can be polled by. Its key is taken from the catalogue.
 *
 * @param zone of timestamps without zone, where the server has the one that the application most likely writes in
 */
export function modeChoices(table: CatalogTable, zone: string): readonly ModeChoice[] {
  const { columns, primaryKey } = table;
  const time = columns
    .filter(({ name, type }) => timeTypes.has(type.name) && updateNames.test(name))
    .toSorted((a, b) => Number(b.notNull) - Number(a.notNull))[0];
  const [only, ...more] = primaryKey;
  const id = more.length > 0 ? undefined : columns.find(({ name, type }) => name === only && integerTypes.has(type.name) && !type.isArray);
  const choices: ModeChoice[] = [];
  if (time !== undefined) {
    const timestamp = {
      timestampColumn: time.name,
      ...(time.type.name === 'timestamp' || time.type.name === 'datetime' ? { timeZone: zone } : {}),
    };
    const nullable = time.notNull ? '' : ` Rows whose ${time.name} is null are not seen.`;
    if (id !== undefined)
      choices.push({
        settings: { mode: 'timestamp+incrementing', ...timestamp, incrementingColumn: id.name },
        because: `${time.name} says when a row was written, ${id.name} orders rows of one moment.${nullable}`,
      });
    choices.push({
      settings: { mode: 'timestamp', ...timestamp },
      because: `${time.name} says when a row was written; the key orders rows of one moment.${nullable}`,
    });
  }
  if (id !== undefined)
    choices.push({
      settings: { mode: 'incrementing', incrementingColumn: id.name },
      because: 'no column says when a row was updated, so only new rows are seen. Add one, or capture the log, if rows change.',
    });
  choices.push({
    settings: { mode: 'bulk', pollIntervalMs: bulkEveryMs },
    because: 'no column says when a row was written, so the whole table is published every time. For small tables only.',
  });
  return choices;
}
