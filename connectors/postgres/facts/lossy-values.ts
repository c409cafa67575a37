import type { JsonValue } from '#change-events/index.ts';
import { lossOf } from './lossy-types.ts';
import { publishableQuery, publishableTables, type ColumnFacts } from './published-facts.ts';

/** Of these no array comes as it was, whatever it has. */
const noArrays: ReadonlySet<string> = new Set([
  'name', 'point', 'xml', 'varbit', 'bit', 'interval', 'money', 'refcursor', 'int2vector', 'oidvector',
]); // prettier-ignore

type Test = (value: JsonValue) => boolean;

const hasText =
  (pattern: RegExp): Test =>
  (value) =>
    typeof value === 'string' && pattern.test(value);

/** Scalars by their type. */
const ofScalars: Readonly<Record<string, Test>> = {
  int2vector: () => true,
  oidvector: () => true,
  refcursor: () => true,
  // 1 BC is the year 0. The others are the days that the Gregorian calendar left out.
  date: hasText(/^(?:-|0000|1582-10-(?:0[5-9]|1[0-4]))/),
  time: hasText(/^24:/),
  timetz: hasText(/^24:/),
  interval: hasText(/infinity/),
};

/** Elements by their type: what becomes of an array that has one. Those before the Gregorian calendar may be meant by another one. */
const ofElements: Readonly<Record<string, Test>> = {
  numeric: hasText(/NAN|INFINITY/),
  date: hasText(/^-|infinity|^(?:0|1[0-4]|15[0-8])/),
  timestamp: hasText(/^-|infinity|^(?:0|1[0-4]|15[0-8])/),
  timestamptz: hasText(/^-|infinity|^(?:0|1[0-4]|15[0-8])/),
  time: hasText(/^24:|\.\d{4}/),
  timetz: hasText(/^24:|\./),
};

/**
 * Whether Debezium 3.6.1 may write another value, or none, where the source has this one: docs/change-event.md has the list. `value` is that of the contract, as the
 * poller writes it. Never false where one is lost; true for few that are not.
 */
export function mayLose(column: ColumnFacts, value: JsonValue): boolean {
  if (value === null) return false;
  const { name, kind, builtIn, calledAsBuiltIn } = column.element;
  if (!column.isArray) {
    if (builtIn) return Object.hasOwn(ofScalars, name) && (ofScalars[name]?.(value) ?? false);
    return lossOf(column) !== undefined;
  }
  if (!Array.isArray(value)) return true;
  if (value.length === 0) return builtIn && noArrays.has(name);
  if (value.some((element) => Array.isArray(element))) return true;
  if (builtIn && noArrays.has(name)) return true;
  if (kind === 'd' || calledAsBuiltIn) return true;
  if (builtIn && Object.hasOwn(ofElements, name)) return value.some((element) => ofElements[name]?.(element) ?? false);
  // Of one dimension, whatever its column was declared with.
  return lossOf({ ...column, dimensions: 1 }) !== undefined && value.includes(null);
}

/** What is lost of a table's values on the way through the log, by the name of each column of which anything is. */
export type LostValues = ReadonlyMap<string, Test>;

/**
 * Reads from the source's catalogue which values of a table its connector loses: those of {@link mayLose}, and generated columns, which the log has not.
 *
 * @param query runs a statement as any role of the source; rows come as texts
 */
export async function lostValues(
  query: (text: string, values: readonly string[]) => Promise<readonly (readonly (string | null)[])[]>,
  table: { readonly schema: string; readonly table: string },
): Promise<LostValues> {
  const [server] = await query("SELECT current_setting('server_version_num')", []);
  const [row] = await query(publishableQuery(Number(server?.[0])), [JSON.stringify([table]), '{}', '']);
  const [facts] = publishableTables.parse(JSON.parse(row?.[0] ?? '[]'));
  if (facts === undefined) return new Map();
  const generated = new Set(
    facts.relations.flatMap(({ virtual, stored, publications }) =>
      publications.some((one) => one.stored || one.columns !== null) ? virtual : [...virtual, ...stored],
    ),
  );
  const losing = facts.columns.filter((column) => generated.has(column.name) || lossOf(column) !== undefined || column.isArray);
  return new Map(
    losing.map((column): [string, Test] => [
      column.name,
      generated.has(column.name) ? (value) => value !== null : (value) => mayLose(column, value),
    ]),
  );
}
