import { stringifyLossless, type JsonValue } from '#change-events/index.ts';

type Test = (value: JsonValue) => boolean;

const always: Test = (value) => value !== null;
const hasText =
  (pattern: RegExp): Test =>
  (value) =>
    typeof value === 'string' && pattern.test(value);

/** By the type as information_schema has it. */
const byType: readonly (readonly [RegExp, Test])[] = [
  // Its snapshot rounds to six digits.
  [/^float$/, (value) => value !== null && digitsOf(stringifyLossless(value)) > 6],
  [/^double\(/, always],
  // It takes years below 100 for short ones.
  [/^(?:date|datetime)\b/, hasText(/^00\d\d-/)],
  // Its times are times of the day.
  [/^time\b/, hasText(/^(?:-|24:|2[5-9]|[3-9]\d|\d{3,})/)],
  [/^year/, (value) => stringifyLossless(value) === '0'],
  [/^enum\(/, hasText(/,/)],
  [/^(?:point|geometry|linestring|polygon|multi\w+)/, always],
];

/**
 * Whether Debezium 3.5.0 may write another value of a column, or none, where the source has this one: docs/mariadb.md has the list. `value` is that of the
 * contract, as the poller writes it. A zero timestamp is not found: the poller writes null, as for no value at all.
 *
 * @param type as information_schema.COLUMNS.COLUMN_TYPE has it, in small letters
 */
export function mariadbLossOf(type: string): Test | undefined {
  return byType.find(([pattern]) => pattern.test(type))?.[1];
}

function digitsOf(text: string): number {
  const [mantissa = ''] = text.split(/e/i);
  return mantissa.replaceAll(/[-.]/g, '').replace(/^0+/, '').replace(/0+$/, '').length;
}

/**
 * Which values of a table its connector may lose, by the name of each column of which any is.
 *
 * @param query runs a statement as any role that may read the table; rows come as texts
 */
export async function mariadbLostValues(
  query: (text: string, values: readonly string[]) => Promise<readonly (readonly (string | null)[])[]>,
  { schema, table }: { readonly schema: string; readonly table: string },
): Promise<ReadonlyMap<string, Test>> {
  const columns = await query(
    'SELECT COLUMN_NAME, LOWER(COLUMN_TYPE) FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ?',
    [schema, table],
  );
  return new Map(
    columns.flatMap(([name, type]) => {
      const loss = mariadbLossOf(type ?? '');
      return loss === undefined ? [] : [[name ?? '', loss] as const];
    }),
  );
}
