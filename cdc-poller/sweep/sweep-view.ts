import { CdcError } from '#pipeline/index.ts';
import type { EventEncoder } from '../encoding/event-encoder.ts';
import type { SourceSession } from '../source/source-session.ts';
import type { TableShape } from '../source/table-shape.ts';
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
  const [only, ...more] = shape.key;
  const column = only === undefined ? undefined : shape.columns[only];
  const keyType = column === undefined || column.type.isArray ? undefined : keyTypes[column.type.name];
  const name = `${shape.id.schema}.${shape.id.table}`;
  if (shape.relation === null || !shape.hasXmin)
    throw new CdcError('SWEEP_KEY_UNFIT', `${name} is a view or a query: a sweep needs a table`);
  if (only === undefined || column === undefined || keyType === undefined || more.length > 0) {
    const key = shape.key.map((index) => `${shape.columns[index]?.name} ${shape.columns[index]?.type.name}`).join(', ');
    throw new CdcError('SWEEP_KEY_UNFIT', `the key of table ${name} is (${key})`);
  }
  return {
    encoder,
    keyIndex: only,
    keyType,
    source: sweepSource((text, values, rowsOf) => session.query(text, values, rowsOf), { id: shape.id, keyColumn: column.name, keyType }),
  };
}
