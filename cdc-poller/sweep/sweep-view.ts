import { CdcError } from '#pipeline/index.ts';
import type { EventEncoder } from '../encoding/event-encoder.ts';
import type { SourceSession } from '../source/dialect.ts';
import type { TableShape } from '../source/table/table-shape.ts';
import type { SweepKeyType } from './key-set.ts';
import { sweepSource } from './sweep-source.ts';
import type { SweepView } from './table-sweeper.ts';

const keyTypes: Readonly<Record<string, SweepKeyType>> = { int2: 'int2', int4: 'int4', int8: 'int8', uuid: 'uuid' };

/**
 * How a sweep sees a table.
 *
 * @throws CdcError SWEEP_KEY_UNFIT when its key is not one integer or uuid column, or it is no table
 */
export function sweepViewOf(session: SourceSession, shape: TableShape, encoder: EventEncoder): SweepView {
  const { id, inheritable } = shape;
  const key = sweepKeyOf(shape);
  if (typeof key === 'string') throw new CdcError('SWEEP_KEY_UNFIT', key);
  return {
    encoder,
    ...key,
    source: sweepSource((text, values, rowsOf) => session.query(text, values, rowsOf), { id, inheritable, ...key }),
  };
}

type SweepKey = { readonly keyIndex: number; readonly keyColumn: string; readonly keyType: SweepKeyType };

/** The key that a sweep goes by, or why it cannot. Pure. */
export function sweepKeyOf({ id, relation, hasXmin, key, columns }: TableShape): SweepKey | string {
  const [only, ...more] = key;
  const column = only === undefined ? undefined : columns[only];
  const keyType = column === undefined || column.type.isArray ? undefined : keyTypes[column.type.name];
  const name = `${id.schema}.${id.table}`;
  if (relation === null || !hasXmin) return `${name} is a view or a query: a sweep needs a table`;
  if (only === undefined || column === undefined || keyType === undefined || more.length > 0) {
    const columnsText = key.map((index) => `${columns[index]?.name} ${columns[index]?.type.name}`).join(', ');
    return `the key of table ${name} is (${columnsText})`;
  }
  return { keyIndex: only, keyColumn: column.name, keyType };
}
