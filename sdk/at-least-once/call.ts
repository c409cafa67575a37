import { CdcError, unlessAborted } from '#pipeline/index.ts';
import type { ConsumedBatch } from '#kafka/index.ts';
import type { AtLeastOnce } from './context.ts';
import type { Part } from './parts.ts';

/** How long a handler at work is waited for when its partition goes to another instance, in ms: shorter than the group waits for this one. */
const leaveAfterMs = 10_000;

/**
 * One call of the handler, or of onPoison for what it cannot handle.
 *
 * @throws CallFailedError; LeftError when it was not waited for, since the partition goes to another instance; the lifetime's reason
 */
export async function call(context: AtLeastOnce, part: Part, attempt: number, batch: ConsumedBatch, leaving: AbortSignal): Promise<void> {
  const { handle, onPoison, lifetime, handlerTimeoutMs, decoder } = context;
  const over = new AbortController();
  const until = AbortSignal.any([lifetime.signal, over.signal]);
  const last = part.changes.at(-1)?.offset ?? part.poison?.read.message.offset;
  const late = setTimeout(
    () =>
      over.abort(
        new CdcError(
          'CONSUMER_HANDLER_TIMEOUT',
          `the handler did not end within ${handlerTimeoutMs} ms (topic ${batch.topic}, partition ${batch.partition}, up to offset ${last})`,
        ),
      ),
    handlerTimeoutMs,
  );
  let leave: NodeJS.Timeout | undefined;
  const onLeaving = (): void => {
    leave = setTimeout(() => over.abort(new LeftError('the partition goes to another instance')), leaveAfterMs);
  };
  if (leaving.aborted) onLeaving();
  leaving.addEventListener('abort', onLeaving, { once: true });
  const textOf = (bytes: Buffer | null): string | null => (bytes === null ? null : (decoder.text(bytes) ?? `\\x${bytes.toString('hex')}`));
  const work = async (): Promise<void> => {
    const handed = { signal: until, attempt };
    if (part.poison === null) return handle(part.changes, handed);
    const { message, change } = part.poison.read;
    const { topic, partition } = batch;
    const { code, cause } = part.poison.why;
    const place = { topic, partition, offset: message.offset, key: textOf(message.key), value: textOf(message.value) };
    await onPoison?.({ ...place, code, cause, change: 'op' in change ? change : null }, handed);
  };
  try {
    await unlessAborted(work(), until);
  } catch (error) {
    if (lifetime.signal.aborted || error instanceof LeftError) throw error;
    throw new CallFailedError('the handler failed', { cause: error });
  } finally {
    clearTimeout(late);
    clearTimeout(leave);
    leaving.removeEventListener('abort', onLeaving);
  }
}

/** The handler, or onPoison, threw, or did not end in time. `cause` says with what. */
export class CallFailedError extends Error {
  override readonly name = 'CallFailedError';
}

/** The partition is not this instance's any more: whoever has it hands the changes over again. */
export class LeftError extends Error {
  override readonly name = 'LeftError';
}
