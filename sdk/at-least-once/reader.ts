import type { BatchControl, ConsumedBatch } from '#kafka/index.ts';
import { CdcError, describeError } from '#pipeline/index.ts';
import { reportedSchemaWaits, retryAfterMs, sliceBatch, type Reader } from '#read-model/engine/index.ts';
import { waitAfter } from '../apply/tries.ts';
import { Poison } from '../changes/change.ts';
import { decodeChanges } from '../changes/decode-changes.ts';
import { begin } from './begin.ts';
import { call, CallFailedError, LeftError } from './call.ts';
import type { AtLeastOnce } from './context.ts';
import { keepingMembership } from './keeping-membership.ts';
import { splitAtPoisons, type Part } from './parts.ts';
import type { Place } from './places.ts';
import { poisoned, unreadable } from './wording.ts';

/**
 * Hands the batches of the assigned partitions over, and commits behind each call once it has resolved: never before. Nothing is read ahead of that.
 * What a call meets makes its partition rest and come again, and no other wait.
 */
export function atLeastOnceReader(context: AtLeastOnce, signal: AbortSignal): Reader {
  const { places, troubles, logger, lifetime, decoder, readMessage, slices } = context;
  const schemas = reportedSchemaWaits({ decoder, logger, signal }, async ({ offset, error, ...where }) => {
    troubles.report(where, { offset, attempt: 1, code: error.code, cause: error.message, waitMs: retryAfterMs });
  });

  const read = async (batch: ConsumedBatch, control: BatchControl, leaving: AbortSignal): Promise<void> => {
    const place = places.of(batch);
    place.control = control;
    await place.moving;
    if (!place.isChecked) await begin(batch, place, control, context);
    if (!control.isCurrent()) return;
    if (place.next === null || !place.isChecked || place.halt !== null) return rest(place, control);
    const from = place.next;
    // It was asked for somewhere else: Kafka says whether what comes next is there still.
    if (batch.fetchedFrom > from) place.isChecked = false;
    if (batch.fetchedFrom > from || batch.nextOffset < from) return control.seek(from);
    const messages = batch.messages.filter(({ offset }) => offset >= from);
    for (const slice of sliceBatch(messages, batch.nextOffset, slices)) {
      if (!(await schemas.ready(batch, slice.messages))) return rest(place, control);
      const decoded = await decodeChanges(readMessage, batch, slice.messages);
      for (const part of splitAtPoisons(decoded, slice.nextOffset, place.lastDeleted, place.poisons)) {
        if (leaving.aborted || !control.isCurrent()) return;
        if (!(await hand(context, batch, place, part, control, leaving))) return;
      }
    }
  };

  return {
    onAssigned: (assignment) =>
      places.assign(Object.entries(assignment).flatMap(([topic, partitions]) => partitions.map((partition) => ({ topic, partition })))),
    async onBatch(batch, control) {
      try {
        await keepingMembership(control, (leaving) => read(batch, control, leaving));
      } catch (error) {
        if (!signal.aborted && !lifetime.signal.aborted) throw error;
      }
    },
    async onUnreadable(batch, control) {
      const place = places.of(batch);
      place.control = control;
      await place.moving;
      if (!place.isChecked) await begin(batch, place, control, context);
      if (!control.isCurrent() || place.next === null) return;
      if (place.isChecked && place.next <= batch.offset) places.halt(batch, unreadable(batch, batch, batch.error));
      control.seek(place.next);
    },
    onPassed({ topic, partition, from, to }, control) {
      const place = places.known({ topic, partition });
      if (place === undefined) return;
      const moveOn = async (): Promise<void> => {
        if (!place.isChecked || place.halt !== null || place.next !== from || !control.isCurrent()) return;
        await control.commit(to);
        place.next = to;
      };
      place.moving = place.moving.then(moveOn).catch((error: unknown) => {
        logger.debug({ topic, partition, reason: describeError(error) }, 'a position was not moved on');
      });
    },
  };
}

/** Hands one part over and commits behind it. False when the partition is to come again. */
async function hand(
  context: AtLeastOnce,
  batch: ConsumedBatch,
  place: Place,
  part: Part,
  control: BatchControl,
  leaving: AbortSignal,
): Promise<boolean> {
  const { lifetime, troubles, places } = context;
  const { poison } = part;
  if (poison !== null && context.onPoison === null) {
    const { message } = poison.read;
    const code = poison.why.code === 'CONSUMER_POISON' ? 'CONSUMER_POISON' : 'EVENT_UNDECODABLE';
    places.halt(batch, poisoned(batch, { offset: message.offset, nextOffset: part.nextOffset }, code, poison.why.cause));
    // A message that cannot be read halts as one that the handler refuses does.
    place.poisons.set(message.offset, poison.why.cause);
    control.pause(retryAfterMs);
    control.seek(message.offset);
    return false;
  }
  try {
    await lifetime.work(async () => {
      if (part.changes.length > 0 || poison !== null) await call(context, part, place.failures + 1, batch, leaving);
      if (!control.isCurrent()) throw new LeftError('the partition has gone to another instance');
      await control.commit(part.nextOffset);
    });
  } catch (error) {
    if (!(error instanceof CallFailedError)) {
      if (error instanceof LeftError) return false;
      throw error;
    }
    const { cause } = error;
    const change = cause instanceof Poison && poison === null ? part.changes.find(({ offset }) => offset === cause.offset) : undefined;
    if (cause instanceof Poison && cause.topic === batch.topic && cause.partition === batch.partition && change !== undefined) {
      place.poisons.set(change.offset, describeError(cause));
      control.seek(place.next ?? change.offset);
      return false;
    }
    report(context, batch, place, part, cause, control);
    return false;
  }
  place.next = part.nextOffset;
  place.failures = 0;
  place.lastDeleted = part.lastDeleted;
  if (poison !== null) place.poisons.delete(poison.read.message.offset);
  troubles.over(batch);
  return true;
}

/** The same changes come again, after a growing pause. */
function report(context: AtLeastOnce, batch: ConsumedBatch, place: Place, part: Part, error: unknown, control: BatchControl): void {
  const { troubles, logger, retryMaxMs } = context;
  const { topic, partition } = batch;
  place.failures += 1;
  const offset = place.next ?? part.nextOffset;
  const waitMs = waitAfter(place.failures, retryMaxMs);
  const known =
    error instanceof CdcError
      ? error
      : new CdcError(
          'CONSUMER_HANDLER_FAILED',
          `the handler failed at topic ${topic}, partition ${partition}, from offset ${offset}: ${describeError(error)}`,
          {
            cause: error,
            remedy: 'Correct the handler, or what it needs. A change that can never be handled: throw new Poison(change, why).',
          },
        );
  const { code, remedy, message } = known;
  logger.warn(
    { topic, partition, offset: String(offset), attempt: place.failures, nextTryInMs: waitMs, code, remedy, err: error },
    message,
  );
  troubles.report(batch, { offset, attempt: place.failures, code, cause: message, waitMs });
  control.pause(waitMs);
  control.seek(offset);
}

/** The partition comes again from where it goes on, after a pause. */
function rest(place: Place, control: BatchControl): void {
  control.pause(retryAfterMs);
  if (place.next !== null) control.seek(place.next);
}
