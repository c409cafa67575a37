import { CdcError, describeError } from '#pipeline/index.ts';
import type { TopicPartition } from '#kafka/port.ts';
import type { Mismatch } from '../mirrors/mismatch.ts';

/** Codes that say by themselves where a partition stands and what to do; every other error is told as what stopped it. */
const telling: ReadonlySet<string> = new Set([
  'READ_MODEL_SCHEMA_CHANGED',
  'READ_MODEL_COLUMN_UNFIT',
  'READ_MODEL_EVENTS_LOST',
  'READ_MODEL_TOPIC_REPLACED',
  'READ_MODEL_PARKED_FULL',
  'READ_MODEL_MIRROR_INVALID',
  'READ_MODEL_LOCKED',
  'REGISTRY_UNREACHABLE',
  'REGISTRY_REFUSED',
]);

/** What makes a partition stand before `offset`, whatever was thrown. */
export function standing({ topic, partition }: TopicPartition, offset: bigint, thrown: unknown): Mismatch {
  if (thrown instanceof CdcError && telling.has(thrown.code)) return { topic, partition, offset, error: thrown };
  const why = `topic ${topic}, partition ${partition} halts before offset ${offset}: ${describeError(thrown)}`;
  return { topic, partition, offset, error: new CdcError('READ_MODEL_HALTED', why, { cause: thrown }) };
}

/** A passing failure that lasts, told where its partition waits. */
export function triesAgain({ topic, partition }: TopicPartition, offset: bigint, thrown: unknown): Mismatch {
  const why = `topic ${topic}, partition ${partition} waits before offset ${offset}: ${describeError(thrown)}`;
  return { topic, partition, offset, error: new CdcError('READ_MODEL_TRIES_AGAIN', why, { cause: thrown }) };
}
