import { CdcError } from '#pipeline/index.ts';
import { quoteName } from './source/catalogue.ts';
import type { Session } from './source/session.ts';

/**
 * How far a model has applied each partition: its next offset, or null for a partition it has never touched.
 *
 * @throws CdcError READ_MODEL_NOT_MIGRATED
 */
export async function appliedOffsets(session: Session, model: string): Promise<(topic: string, partition: number) => bigint | null> {
  const [found] = await session.rows('SELECT to_regclass($1)::text', [`${quoteName(model)}.applied_offsets`]);
  if (found?.[0] === null) throw new CdcError('READ_MODEL_NOT_MIGRATED', `the read database has no read model ${model}`);
  const rows = await session.rows(`SELECT topic || '/' || partition, next_offset::text FROM ${quoteName(model)}.applied_offsets`);
  const offsets = new Map(rows.map(([place, next]) => [place, BigInt(next ?? '0')]));
  return (topic, partition) => offsets.get(`${topic}/${partition}`) ?? null;
}
