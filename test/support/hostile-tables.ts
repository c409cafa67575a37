import { createHash } from 'node:crypto';
import * as fc from 'fast-check';
import { sharingTopics, topicName, type TableId } from '#change-events/index.ts';

/** A table that a test makes: a key that grows, a timestamp, two texts; named as its maker likes. */
export type HostileTable = {
  readonly id: TableId;
  readonly key: string;
  readonly time: string;
  readonly value: string;
  /** Not published by the poller where `hides` says so. */
  readonly other: string;
  readonly hides: boolean;
};

export type Quoting = { readonly name: (name: string) => string; readonly text: (text: string) => string };

/** Tables that can exist side by side: names apart, and topics too. */
export function hostileTables(
  name: fc.Arbitrary<string>,
  count: number,
  isSame: (name: string) => string,
  column: fc.Arbitrary<string> = name,
): fc.Arbitrary<readonly HostileTable[]> {
  const one = fc
    .record({
      schema: name,
      table: name,
      columns: fc.uniqueArray(column, { minLength: 4, maxLength: 4, selector: isSame }),
      hides: fc.boolean(),
    })
    .map(({ schema, table, columns: [key = '', time = '', value = '', other = ''], hides }) => ({
      id: { schema, table },
      key,
      time,
      value,
      other,
      hides,
    }));
  return fc
    .uniqueArray(one, { minLength: count, maxLength: count, selector: ({ id }) => `${isSame(id.schema)} ${isSame(id.table)}` })
    .filter((tables) => sharingTopics(tables, ({ id }) => topicName('p', id)).length === 0);
}

/** What a row of number `n` holds at its `version`: a text that is nobody's by chance. */
export function valueOf(n: number, version: number, table: HostileTable): string {
  return `${n}/${version} ${createHash('md5').update(JSON.stringify(table)).digest('hex')} "'\\`;
}

export function insertSql(table: HostileTable, n: number, { name, text }: Quoting): string {
  return `INSERT INTO ${tableSql(table, name)} (${name(table.value)}, ${name(table.other)}) VALUES (${text(valueOf(n, 1, table))}, ${text(`other ${n}`)})`;
}

export function tableSql({ id }: HostileTable, name: Quoting['name']): string {
  return `${name(id.schema)}.${name(id.table)}`;
}

/** pipeline.yaml's entry. */
export function entryOf(table: HostileTable, text: string): { readonly table: string; readonly [setting: string]: unknown } {
  return {
    table: text,
    timestampColumn: table.time,
    incrementingColumn: table.key,
    ...(table.hides ? { excludeColumns: [table.other] } : { mask: { [table.other]: { fixed: 'masked' } } }),
  };
}

/** Rounds of a property that starts servers' clients each time; TEST_ROUNDS says another number. */
export const rounds = Number(process.env['TEST_ROUNDS'] ?? (process.env['TEST_NIGHTLY'] === '1' ? 200 : 1));
/** Printed by the tests: TEST_SEED=… runs the same again. */
export const seed = Number(process.env['TEST_SEED'] ?? Date.now() % 2_147_483_647);
