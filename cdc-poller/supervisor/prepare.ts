import { isTablePattern, type PollerTableConfig } from '#pipeline/index.ts';
import { heartbeatTopic } from '#change-events/index.ts';
import { positionTopicSpec } from '../position/position-topic.ts';
import { dialectOf } from '../source/dialect.ts';
import { discoverTables, type UnfitTable } from '../source/table-discovery.ts';
import { findProblems, problemsError } from '../source/judge-table.ts';
import type { PollerContext } from './context.ts';
import { isFinal } from './final-errors.ts';
import { refuseStandby } from './table-session.ts';
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

/** Finds the tables to poll. The first time, every configured table has to be fit; later each one's trouble is its own. */
export type TableFinder = () => Promise<readonly PollerTableConfig[]>;

/**
 * A finder of the configured tables and of those that patterns match. It says once of each table that matches and cannot be polled.
 *
 * @returns a finder that throws CdcError with every finding when a table or column is unfit at first
 */
export function createTableFinder({ config, poller, logger }: PollerContext): TableFinder {
  const told = new Set<string>();
  let judged = false;
  const onUnfit = ({ table, findings }: UnfitTable): void => {
    const message = problemsError(findings).message;
    if (told.has(message)) return;
    told.add(message);
    logger.warn({ table, remedy: findings[0]?.remedy }, `a table that matches a pattern is left out: ${message}`);
  };
  return async () => {
    const dialect = dialectOf(config.legacyDb);
    await using session = await dialect.openSession(config.legacyDb, `cdc-poller ${poller.name}`, poller.statementTimeoutMs);
    const identity = await dialect.readIdentity(session);
    refuseStandby(identity, config);
    const named = poller.tables.filter(({ table }) => !isTablePattern(table));
    const findings = [];
    if (!judged)
      for (const table of named)
        findings.push(...findProblems(await dialect.readCatalog(session, table), table, identity.role, dialect.words));
    if (findings.length > 0) throw problemsError(findings);
    judged = true;
    return await discoverTables(session, poller, onUnfit);
  };
}

/** Creates the topics of positions and heartbeats and those of the tables' events where they do not exist yet. */
export async function ensureTopics({ kafka, poller, config }: PollerContext, tables: readonly PollerTableConfig[]): Promise<void> {
  const { partitions, replicationFactor } = config.kafka;
  await using admin = await kafka.admin();
  await admin.ensureTopics([
    positionTopicSpec(poller.name, replicationFactor),
    { topic: heartbeatTopic(poller.topicPrefix), partitions: 1, replicationFactor, config: { 'cleanup.policy': 'compact' } },
    ...(tables.some(({ onTooLarge }) => (onTooLarge ?? poller.onTooLarge) === 'dead-letter')
      ? [{ topic: deadLetterTopic(poller), partitions, replicationFactor, config: { 'cleanup.policy': 'delete' } }]
      : []),
    ...tables.map((table) => ({
      topic: eventTopic(poller, table),
      partitions,
      replicationFactor,
      config: { 'cleanup.policy': 'compact' },
    })),
  ]);
}
