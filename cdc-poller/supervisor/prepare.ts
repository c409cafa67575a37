import { isTablePattern, type PollerTableConfig } from '#pipeline/index.ts';
import { heartbeatTopicSpec } from '../table/heartbeat.ts';
import { positionTopicSpec, readStoredTables } from '../position/position-topic.ts';
import { dialectOf } from '../dialects.ts';
import { discoverTables, type UnfitTable } from '../source/table/table-discovery.ts';
import { judgeTable } from '../judge.ts';
import { problemsError, remedyOf } from '../source/judge/judge-table.ts';
import type { ShapeFinding } from '../source/judge/unfit-codes.ts';
import type { PollerContext } from './context.ts';
import { isFinal } from './final-errors.ts';
import { refuseStandby } from './table-session.ts';
import { existingTopicRefusal, hasClashes, topicRefusals, withPosition } from './topic-refusals.ts';
import { deadLetterTopic, eventTopic } from './topics.ts';
import { waitAfter } from './try-again.ts';

/** Tries what needs the servers, and waits for them if the configuration says so. Undefined when the signal is aborted meanwhile. */
export async function whenAvailable<T>(context: PollerContext, work: () => Promise<T>): Promise<T | undefined> {
  for (let attempt = 1; !context.signal.aborted; attempt += 1) {
    try {
      return await work();
    } catch (error) {
      if (context.signal.aborted) return undefined;
      const waits = context.config.kafka.whenUnavailable === 'wait' && !context.once;
      if (isFinal(error) || !waits) throw error;
      await waitAfter(error, attempt, context);
    }
  }
  return undefined;
}

/** Finds the tables to poll. One that cannot be polled is among them when it is configured by name: its trouble is its own. */
export type TableFinder = () => Promise<readonly PollerTableConfig[]>;

/**
 * A finder of the configured tables and of those that patterns match. It says once of each table that matches and cannot be polled.
 *
 * @returns a finder that throws CdcError with every finding when no table is fit at first
 */
export function createTableFinder(context: PollerContext): TableFinder {
  const { config, poller, logger, refused } = context;
  const warned = new Set<string>();
  let judged = false;
  let polled: ReadonlySet<string> | null = null;
  const onUnfit = ({ table, findings }: UnfitTable): void => {
    const message = problemsError(findings).message;
    if (warned.has(message)) return;
    warned.add(message);
    logger.warn({ table, remedy: findings[0] && remedyOf(findings[0]) }, `a table that matches a pattern is left out: ${message}`);
  };
  return async () => {
    const dialect = dialectOf(config.legacyDb);
    await using session = await dialect.openSession(config.legacyDb, `cdc-poller ${poller.name}`, poller.statementTimeoutMs);
    const identity = await dialect.readIdentity(session);
    refuseStandby(identity, config);
    const tables = await discoverTables(session, poller, onUnfit);
    if (!judged) {
      const unfit: (readonly ShapeFinding[])[] = [];
      for (const table of poller.tables) {
        // A pattern takes what is fit, and may find a table later.
        const findings = isTablePattern(table.table) ? [] : (await judgeTable(session, identity, table)).findings;
        if (findings.length > 0) unfit.push(findings);
      }
      // Nothing would be published: end with the error instead of waiting.
      if (unfit.length === poller.tables.length) throw problemsError(unfit.flat());
    }
    judged = true;
    const holders = polled ?? (hasClashes(poller, tables) ? await positioned(context) : new Set());
    // Whoever was refused stays so until the next start.
    for (const [table, refusal] of topicRefusals(poller, tables, holders)) refused.set(table, refusal);
    polled = new Set(tables.map(({ table }) => table).filter((table) => !refused.has(table)));
    return tables;
  };
}

/** Tables that have been polled by this name before. */
async function positioned({ kafka, poller, signal }: PollerContext): Promise<ReadonlySet<string>> {
  return withPosition(await readStoredTables(kafka, poller.name, signal));
}

/** Creates the topics of positions and heartbeats and those of the tables' events where they do not exist yet. */
export async function ensureTopics({ kafka, poller, config, refused }: PollerContext, tables: readonly PollerTableConfig[]): Promise<void> {
  const { partitions, replicationFactor } = config.kafka;
  await using admin = await kafka.admin();
  const existing = await admin.listTopics();
  for (const table of tables) {
    const refusal = existingTopicRefusal(poller, table, existing);
    if (refusal !== null && !refused.has(table.table)) refused.set(table.table, refusal);
  }
  await admin.ensureTopics([
    positionTopicSpec(poller.name, replicationFactor),
    heartbeatTopicSpec(poller.topicPrefix, replicationFactor),
    ...(tables.some(({ onTooLarge }) => (onTooLarge ?? poller.onTooLarge) === 'dead-letter')
      ? [{ topic: deadLetterTopic(poller), partitions, replicationFactor, config: { 'cleanup.policy': 'delete' } }]
      : []),
    ...tables
      .filter(({ table }) => !refused.has(table))
      .map((table) => ({
        topic: eventTopic(poller, table),
        partitions,
        replicationFactor,
        config: { 'cleanup.policy': 'compact' },
      })),
  ]);
}
