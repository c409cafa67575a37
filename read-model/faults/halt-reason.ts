import { CdcError, describeError } from '#pipeline/index.ts';
import type { TopicPartition } from '#kafka/port.ts';
import type { Mismatch } from '../mirrors/mismatch.ts';
import { readModelWording, type Wording } from './wording.ts';

/** Errors of these codes name the place and the remedy themselves; any other becomes the cause of READ_MODEL_HALTED. */
const selfExplaining: ReadonlySet<string> = new Set([
  'READ_MODEL_SCHEMA_CHANGED',
  'READ_MODEL_COLUMN_UNFIT',
  'READ_MODEL_EVENTS_LOST',
  'READ_MODEL_TOPIC_REPLACED',
  'READ_MODEL_PARKED_FULL',
  'READ_MODEL_MIRROR_INVALID',
  'READ_MODEL_LOCKED',
  'CONSUMER_EVENTS_LOST',
  'CONSUMER_TOPIC_REPLACED',
  'CONSUMER_PARKED_FULL',
  'REGISTRY_UNREACHABLE',
  'REGISTRY_REFUSED',
]);

/** Why a partition halts before `offset`, whatever was thrown. */
export function haltBefore(
  { topic, partition }: TopicPartition,
  offset: bigint,
  thrown: unknown,
  { halted }: Wording = readModelWording,
): Mismatch {
  if (thrown instanceof CdcError && selfExplaining.has(thrown.code)) return { topic, partition, offset, error: thrown };
  const why = `topic ${topic}, partition ${partition} halts before offset ${offset}: ${describeError(thrown)}`;
  return { topic, partition, offset, error: new CdcError(halted, why, { cause: thrown }) };
}

/** Why a partition waits before `offset`: a passing failure that lasts. */
export function waitBefore(
  { topic, partition }: TopicPartition,
  offset: bigint,
  thrown: unknown,
  { triesAgain }: Wording = readModelWording,
): Mismatch {
  const why = `topic ${topic}, partition ${partition} waits before offset ${offset}: ${describeError(thrown)}`;
  return { topic, partition, offset, error: new CdcError(triesAgain, why, { cause: thrown }) };
}
