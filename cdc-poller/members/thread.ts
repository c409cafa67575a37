/** A thread that polls: one more member of the group. It takes tables as the main thread offers them. Started by member-threads.ts. */
import { parentPort, workerData } from 'node:worker_threads';
import { CdcError, createLogger } from '#pipeline/index.ts';
import { openMember } from './member.ts';
import { receivedError, sentError, type FromMember, type MemberSetup, type ToMember } from './messages.ts';

async function serve(port: NonNullable<typeof parentPort>, post: (message: FromMember) => void): Promise<void> {
  const { config, logger, number, timesPolls }: MemberSetup = workerData;
  const controller = new AbortController();
  await using member = openMember({
    config,
    logger: createLogger(logger.name, logger.level).child({ thread: number }),
    signal: controller.signal,
    once: false,
    listener: timesPolls ? { polled: (table, seconds) => post({ kind: 'polled', table, seconds }) } : null,
  });
  port.on('message', (message: ToMember) => {
    if (message.kind === 'end') return controller.abort();
    const { id } = message;
    if (message.kind === 'figures') return post({ kind: 'figures', id, figures: member.figures() });
    for (const [table, sent] of message.refused) {
      const refusal = receivedError(sent);
      if (refusal instanceof CdcError) member.context.refused.set(table, refusal);
    }
    member.offer(message).then(
      () => post({ kind: 'offered', id, error: null }),
      (error: unknown) => post({ kind: 'offered', id, error: sentError(error) }),
    );
  });
  await member.ended;
}

if (parentPort !== null) {
  const port = parentPort;
  const post = (message: FromMember): void => port.postMessage(message);
  try {
    await serve(port, post);
  } catch (error) {
    post({ kind: 'failed', error: sentError(error) });
  } finally {
    port.close();
  }
}
