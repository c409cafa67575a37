import { randomUUID } from 'node:crypto';
import { openRegistry } from '#change-events/index.ts';
import { connectKafka } from '#kafka/index.ts';
import { CdcError, type Logger, type PipelineConfig, type PollerTableConfig } from '#pipeline/index.ts';
import { shareInGroup, takeAll } from '../membership/share.ts';
import type { TableSlots } from '../membership/table-slots.ts';
import type { ProcessFigures } from '../metrics/prometheus.ts';
import type { MonitorListener } from '../metrics/table-monitor.ts';
import { createGovernor } from '../pace/governor.ts';
import { positionTopic, readPositionTopic } from '../position/position-topic.ts';
import { shareReading } from '../position/shared-reading.ts';
import { createRegistrar } from '../schemas/registration.ts';
import { shareSessions } from '../source/shared-sessions.ts';
import type { PollerContext } from '../supervisor/context.ts';
import { createSupervisor, type Supervisor } from '../supervisor/supervisor.ts';
import { sessionOf } from '../supervisor/table-session.ts';
import { createTopicGuard } from '../supervisor/topic-guard.ts';
import { takeTurns } from '../supervisor/turns.ts';

/** With 2,000 tables at once, the broker left requests unanswered, all were tried again, and no table was ever taken over. */
const takenOverAtOnce = 32;

/** The tables that there are, and the partition of each in the topic that the group shares. */
export type TableOffer = { readonly tables: readonly PollerTableConfig[]; readonly slots: TableSlots };

/** What polls tables in one thread: with connections, transactional ids and a place in the group of its own. */
export type Member = AsyncDisposable & {
  readonly context: PollerContext;
  /** Those of its share are polled from now on. @throws CdcError KAFKA_UNREACHABLE when the group cannot be joined at first */
  offer(offer: TableOffer): Promise<void>;
  figures(): ProcessFigures;
  /** Resolves when the signal is aborted and all tables have stopped, or, with `once`, are through. Rejects with what ended it. */
  readonly ended: Promise<void>;
};

export type MemberOptions = {
  readonly config: PipelineConfig;
  readonly logger: Logger;
  readonly signal: AbortSignal;
  readonly once: boolean;
  readonly listener: MonitorListener | null;
};

/** To dispose it leaves the group, when its tables have stopped. @throws CdcError CONFIG_INVALID without a poller section */
export function openMember({ config, logger, signal, once, listener }: MemberOptions): Member {
  const { poller } = config;
  if (poller === undefined) throw new CdcError('CONFIG_INVALID', 'pipeline.yaml has no poller section');
  const kafka = connectKafka(config.kafka, logger);
  const registry = poller.format === 'json' || config.schemaRegistry === undefined ? null : openRegistry(config.schemaRegistry);
  const sessions = poller.connections === undefined ? null : shareSessions(poller.connections, () => sessionOf({ config, poller }));
  const context: PollerContext = {
    config,
    poller,
    kafka,
    logger,
    signal,
    once,
    owner: randomUUID(),
    governor: createGovernor(poller),
    sessions,
    loadThreadsPlace: { taken: false },
    registrar: registry === null ? null : createRegistrar(registry, poller.compatibility),
    topics: createTopicGuard(kafka, positionTopic(poller.name)),
    refused: new Map(),
    takingOver: takeTurns(takenOverAtOnce),
    readPositions: shareReading(() => readPositionTopic(kafka, poller.name, signal, (text) => logger.info(text))),
  };
  const sharing = sharingOf(context);
  const want: Supervisor['want'] = (tables, all) => supervisor.want(tables, all);
  const share = sharing === 'takeover' ? takeAll(want) : shareInGroup(context, want);
  const supervisor = createSupervisor({ context, confirmed: share.confirmed, listener });
  return {
    context,
    offer: (offer) => share.offer(offer),
    figures: () => ({ poller: poller.name, sharing, member: share.isMember(), tables: supervisor.figures() }),
    ended: supervisor.ended,
    async [Symbol.asyncDispose]() {
      await share[Symbol.asyncDispose]();
      await sessions?.[Symbol.asyncDispose]();
    },
  };
}

/** With `once` the tables are taken over, whatever is configured. */
export function sharingOf({ poller, once }: Pick<PollerContext, 'poller' | 'once'>): 'group' | 'takeover' {
  return once ? 'takeover' : poller.sharing;
}
