import { createHash } from 'node:crypto';
import { isFramed, type EventDecoder } from '#change-events/index.ts';
import { CdcError, describeError } from '#pipeline/index.ts';
import { faultOf } from '../faults/classify.ts';

/** Why an event cannot be applied: `code` is of the catalogue of errors, or says what the event waits for. */
export type Poison = { readonly code: string; readonly cause: string; readonly awaits?: string; readonly error?: Error };

/** Codes of events that are sound themselves. */
export const behindCode = 'BEHIND';
export const awaitsCode = 'AWAITS_ROW';

/**
 * Whether an error means that one of the events applied is at fault, so that parking it lets the others pass. Errors that would meet
 * every event alike (a table is gone, a right is missing, a bug) are none of it.
 */
export function isPoison(error: unknown): boolean {
  return !(error instanceof CdcError) && faultOf(error) === 'event';
}

export function toPoison(thrown: unknown): Poison {
  const error = thrown instanceof Error ? thrown : new Error(describeError(thrown));
  return { code: error instanceof CdcError ? error.code : 'READ_MODEL_EVENT_INAPPLICABLE', cause: describeError(error), error };
}

/**
 * The name of an event's queue in its partition: messages of equal keys share one, whatever their format, and so do all those without a key. A key
 * that could not be read when its event was parked is in the queue of its bytes, so this comes second for a key with a schema. The first is
 * where a message belongs whose queues are not open.
 */
export function queuesOfKey(key: Buffer | null, { text: textOf }: EventDecoder): readonly string[] {
  if (key === null) return ['no key'];
  const ofBytes = digest(key);
  if (!isFramed(key)) return [ofBytes];
  const text = textOf(key);
  return text === null ? [ofBytes] : [digest(text), ofBytes];
}

function digest(text: string | Buffer): string {
  return createHash('sha256').update(text).digest('hex');
}
