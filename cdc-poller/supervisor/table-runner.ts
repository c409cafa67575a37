import { createOversize, EventRefused } from '../table/oversize.ts';
import { createTableSweeper } from '../sweep/table-sweeper.ts';
import { openTablePublisher, type TablePublisher } from '../table/table-publisher.ts';
import type { PollerContext, TableAssignment } from './context.ts';
import { isDatabaseError, isFenced, isFinal, isIncompatible, isMendable, isUnfit, needsReset } from './final-errors.ts';
import { TableReshaped } from '../source/table/table-reshaped.ts';
import { ensureTopics } from './prepare.ts';
import { pollWithSession } from './table-session.ts';
import { deadLetterTopic, eventTopic } from './topics.ts';
import { waitAfter } from './try-again.ts';

/** After this long without trouble the next one is a first one again. */
const calmMs = 30_000;

/**
 * Polls one table for as long as its assignment goes: lost connections are made again, everything else is final. In a group, to be fenced is not
 * final: the table has moved on, or is taken again once the group has confirmed that it is still this process's.
 */
export async function runTable(context: PollerContext, assignment: TableAssignment): Promise<void> {
  const { signal, monitor, confirmed } = assignment;
  const logger = context.logger.child({ table: assignment.table.table });
  const refusal = context.refused.get(assignment.table.table);
  if (refusal !== undefined) throw refusal;
  let publisher: TablePublisher | null = null;
  let owned = false;
  let wasFit = false;
  const onFit = (): void => {
    wasFit = true;
  };
  const oversize = createOversize({
    action: assignment.table.onTooLarge ?? context.poller.onTooLarge,
    table: assignment.table.table,
    topic: eventTopic(context.poller, assignment.table),
    deadLetterTopic: deadLetterTopic(context.poller),
    logger,
  });
  const { sweep: settings } = assignment.table;
  const topic = eventTopic(context.poller, assignment.table);
  const sweeper = settings === undefined ? null : createTableSweeper({ kafka: context.kafka, topic, settings, logger, signal });
  try {
    for (let attempt = 1; !signal.aborted; attempt += 1) {
      const began = performance.now();
      try {
        if (publisher === null && attempt > 1) {
          await context.topics.look(topic);
          // One that was deleted meanwhile would be missed for ever.
          await ensureTopics(context, [assignment.table]);
        }
        publisher ??= await openTablePublisher({
          ...publisherOptions(context, assignment, owned && confirmed === null),
          onKeys: sweeper?.published,
        });
        owned = true;
        await pollWithSession(context, assignment, publisher, { oversize, sweeper, onFit });
        if (context.once) return;
      } catch (error) {
        if (signal.aborted) return;
        const moved = confirmed !== null && isFenced(error);
        // Only the owner of a table can make it fit for polling: it waits, and the others go on. One that its subject does not take any more
        // may have been changed while no poller ran.
        const waits = (wasFit || isUnfit(error) || isIncompatible(error) || needsReset(error)) && !context.once && isMendable(error);
        if (!moved && !waits && isFinal(error)) throw error;
        publisher = await keepAfter(error, publisher);
        if (error instanceof TableReshaped || error instanceof EventRefused) {
          logger.info(`${error.message}; the table goes on from its last commit`);
          if (publisher === null) await confirmed?.();
          continue;
        }
        if (moved) {
          monitor.phase('waiting');
          logger.info('another process has taken this table; waiting for the group');
        } else {
          monitor.failed(error, false, isFinal(error));
          if (performance.now() - began > calmMs) attempt = 1;
          await waitAfter(error, attempt, { signal, logger });
        }
        // Who lost Kafka for a while may have lost the table too: only the group knows.
        if (publisher === null) await confirmed?.();
      }
    }
  } finally {
    await publisher?.[Symbol.asyncDispose]();
  }
}

/** A broken database connection leaves the publisher as it is; after trouble with Kafka the table is taken over again. */
async function keepAfter(error: unknown, publisher: TablePublisher | null): Promise<TablePublisher | null> {
  if (publisher === null) return null;
  if (isDatabaseError(error)) {
    try {
      await publisher.abort();
      return publisher;
    } catch {
      // Falls through: what cannot be aborted is fenced by taking over.
    }
  }
  await publisher[Symbol.asyncDispose]();
  return null;
}

function publisherOptions(
  { kafka, poller, owner, logger, readPositions, takingOver }: PollerContext,
  { table, signal, monitor }: TableAssignment,
  reclaim: boolean,
): Parameters<typeof openTablePublisher>[0] {
  return {
    kafka,
    pollerName: poller.name,
    table: table.table,
    topic: eventTopic(poller, table),
    owner,
    reclaim,
    signal,
    readPositions,
    inTurn: takingOver,
    progress: (text) => logger.info({ table: table.table }, text),
    onCommitted: (events) => monitor.published(events),
    onLeftOut: (rows) => monitor.leftOut(rows),
  };
}
