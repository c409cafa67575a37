import * as z from 'zod';
import type { ConnectorOffsets } from '../rest/schemas.ts';

/** An incremental snapshot that runs, as the connector's position shows it. */
export type SnapshotProgress = {
  /** Id of the signal that started it. */
  readonly id: string | undefined;
  /** `schema.table`, the one that is read now first. */
  readonly tables: readonly string[];
  /** How far the present table is read, where its key is one whole number. */
  readonly key?: bigint;
  readonly maximum?: bigint;
};

const tablesSchema = z
  .string()
  .transform((text): unknown => JSON.parse(text))
  .pipe(z.array(z.object({ incremental_snapshot_collections_id: z.string() })));

/** Null when none runs. Debezium keeps its state in the position, so that it goes on after a restart. */
export function snapshotProgress(offsets: ConnectorOffsets): SnapshotProgress | null {
  for (const { offset } of offsets) {
    const collections = offset?.['incremental_snapshot_collections'];
    if (offset === null || collections === undefined) continue;
    const tables = tablesSchema.parse(collections).map((each) => each.incremental_snapshot_collections_id);
    if (tables.length === 0) continue;
    const id = z.string().safeParse(offset['incremental_snapshot_correlation_id']);
    const key = wholeNumber(offset['incremental_snapshot_primary_key']);
    const maximum = wholeNumber(offset['incremental_snapshot_maximum_key']);
    return { id: id.data, tables, ...(key === undefined ? {} : { key }), ...(maximum === undefined ? {} : { maximum }) };
  }
  return null;
}

/** One line for a person. */
export function formatProgress({ tables, key, maximum }: SnapshotProgress): string {
  const [now = '', ...later] = tables;
  const far = key === undefined ? '' : `: read to key ${key}${maximum === undefined ? '' : ` of ${maximum}`}`;
  return `${now}${far}${later.length === 0 ? '' : `; then ${later.join(', ')}`}`;
}

const oneElement = '7870000000017372'; // … end of the array's class, length 1, an object follows
const kinds = [
  { className: Buffer.from('java.lang.Long').toString('hex'), digits: 16 },
  { className: Buffer.from('java.lang.Integer').toString('hex'), digits: 8 },
] as const;

/** Debezium writes a key as a Java object array, serialized, in hex: of one Long or Integer the value is its end. */
function wholeNumber(value: unknown): bigint | undefined {
  if (typeof value !== 'string' || !value.includes(oneElement)) return undefined;
  const kind = kinds.find(({ className }) => value.includes(className));
  return kind === undefined ? undefined : BigInt.asIntN(kind.digits * 4, BigInt(`0x${value.slice(-kind.digits)}`));
}
