import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { Guard } from '../resilience/guard.ts';
import { registerGuards } from '../resilience/guard-metrics.ts';

/** What the gauges show, asked for when they are read. */
export type Figures = {
  readonly pool: { readonly total: number; readonly idle: number; readonly waiting: number };
  /** Whether the legacy database answered when it was asked last. */
  readonly legacyReachable: boolean;
};

export type Metrics = {
  readonly registry: Registry;
  answered(method: string, route: string, status: number, seconds: number): void;
  /** A command whose answer was that of an earlier time. */
  replayed(): void;
};

const prefix = 'cdc_order_service_';

/** Metrics of one order service in a registry of their own, and those of the Node process. */
export function createOrderMetrics(figures: () => Figures, guards: () => readonly Guard[]): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const registers = [registry];
  const requests = new Counter({
    name: `${prefix}requests_total`,
    help: 'Requests that were answered.',
    labelNames: ['method', 'route', 'status'],
    registers,
  });
  const durations = new Histogram({
    name: `${prefix}request_duration_seconds`,
    help: 'From the head of a request until its answer is sent.',
    labelNames: ['method', 'route'],
    buckets: [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    registers,
  });
  const replays = new Counter({
    name: `${prefix}replays_total`,
    help: 'Commands that had been done before under the same Idempotency-Key.',
    registers,
  });
  const gauges: readonly (readonly [name: string, help: string, value: (now: Figures) => number])[] = [
    ['database_connections', 'Connections to the legacy database.', ({ pool }) => pool.total],
    ['database_connections_idle', 'Connections to the legacy database that wait for work.', ({ pool }) => pool.idle],
    ['database_requests_waiting', 'Commands that wait for a connection.', ({ pool }) => pool.waiting],
    ['legacy_reachable', '1 if the legacy database answered at the last try, else 0.', ({ legacyReachable }) => (legacyReachable ? 1 : 0)],
  ];
  for (const [name, help, value] of gauges) {
    registry.registerMetric(
      new Gauge({
        name: prefix + name,
        help,
        registers: [],
        collect() {
          this.set(value(figures()));
        },
      }),
    );
  }
  registerGuards(registry, prefix, guards);
  return {
    registry,
    answered(method, route, status, seconds) {
      requests.inc({ method, route, status: String(status) });
      durations.observe({ method, route }, seconds);
    },
    replayed: () => replays.inc(),
  };
}
