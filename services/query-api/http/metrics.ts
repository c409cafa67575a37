import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { Guard } from '../../resilience/guard.ts';
import { registerGuards } from '../../resilience/guard-metrics.ts';
import type { AnswerSource } from './table-answer.ts';

/** What the gauges show, asked for when they are read. */
export type Figures = {
  readonly streams: { readonly clients: number; readonly watches: number; readonly slowClients: number };
  readonly pool: { readonly total: number; readonly idle: number; readonly waiting: number };
  /** Whether the model could be read when it was tried last. */
  readonly modelReadable: boolean;
  readonly stalenessMs: number | null;
  /** Of the last good answers, where they are kept. */
  readonly lastAnswers: { readonly answers: number; readonly bytes: number };
};

export type Metrics = {
  readonly registry: Registry;
  /** `table`: of a table that the model has; else empty, so that nobody can make up labels. */
  answered(route: string, table: string, status: number, seconds: number): void;
  /** An answer with rows, by who gave it. */
  gave(source: AnswerSource): void;
  /** Of a request with Min-Position. */
  waited(outcome: 'reached' | 'not-reached', seconds: number): void;
};

/** Metrics of one query API in a registry of their own, named `cdc_query_api_…`, and those of the Node process. */
export function createMetrics(figures: () => Figures, guards: () => readonly Guard[] = () => []): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const registers = [registry];
  const requests = new Counter({
    name: 'cdc_query_api_requests_total',
    help: 'Requests that were answered.',
    labelNames: ['route', 'table', 'status'],
    registers,
  });
  const durations = new Histogram({
    name: 'cdc_query_api_request_duration_seconds',
    help: 'From the head of a request until its answer is sent. Live streams are left out.',
    labelNames: ['route'],
    buckets: [0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    registers,
  });
  const waits = new Histogram({
    name: 'cdc_query_api_position_wait_seconds',
    help: 'How long requests with Min-Position waited for the model.',
    labelNames: ['outcome'],
    buckets: [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
    registers,
  });
  const answers = new Counter({
    name: 'cdc_query_api_answers_total',
    help: 'Answers with rows, by who gave them: read-model, last-answer, legacy or legacy-copy (a standby).',
    labelNames: ['source'],
    registers,
  });
  const gauges: readonly (readonly [name: string, help: string, value: (now: Figures) => number | null])[] = [
    ['streams', 'Clients of live streams.', ({ streams }) => streams.clients],
    ['watched_lists', 'Lists that are watched for live streams.', ({ streams }) => streams.watches],
    ['database_connections', 'Connections to the read database.', ({ pool }) => pool.total],
    ['database_connections_idle', 'Connections to the read database that wait for work.', ({ pool }) => pool.idle],
    ['database_requests_waiting', 'Queries that wait for a connection.', ({ pool }) => pool.waiting],
    ['last_answers', 'Last good answers that are kept for the fallback.', ({ lastAnswers }) => lastAnswers.answers],
    ['last_answers_bytes', 'Memory that they take, roughly.', ({ lastAnswers }) => lastAnswers.bytes],
    ['model_readable', '1 if the model could be read at the last try, else 0.', ({ modelReadable }) => (modelReadable ? 1 : 0)],
    [
      'staleness_seconds',
      'How far the model may be behind the source. Absent while that is not known.',
      ({ stalenessMs }) => (stalenessMs === null ? null : stalenessMs / 1000),
    ],
  ];
  for (const [name, help, value] of gauges) {
    registry.registerMetric(
      new Gauge({
        name: `cdc_query_api_${name}`,
        help,
        registers: [],
        collect() {
          const now = value(figures());
          if (now === null) this.remove();
          else this.set(now);
        },
      }),
    );
  }
  registry.registerMetric(
    new Counter({
      name: 'cdc_query_api_slow_streams_total',
      help: 'Live streams that were ended because the client left too much unread.',
      registers: [],
      collect() {
        this.reset();
        this.inc(figures().streams.slowClients);
      },
    }),
  );
  registerGuards(registry, 'cdc_query_api_', guards);
  return {
    registry,
    answered(route, table, status, seconds) {
      requests.inc({ route, table, status: String(status) });
      if (route !== 'stream') durations.observe({ route }, seconds);
    },
    gave: (source) => answers.inc({ source }),
    waited: (outcome, seconds) => waits.observe({ outcome }, seconds),
  };
}
