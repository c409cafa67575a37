import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { Instance } from './upstreams/instances.ts';

/** What the gauges show, asked for when they are read. */
export type Figures = {
  readonly sessions: number;
  readonly upstreams: readonly { readonly name: string; readonly instances: readonly Instance[] }[];
};

export type Metrics = {
  readonly registry: Registry;
  /** `route`: a route of the configuration, or of the gateway's own, so that nobody can make up labels. */
  answered(route: string, status: number, seconds: number | null): void;
  tried(upstream: string, outcome: string): void;
  login(outcome: string): void;
  refresh(outcome: string): void;
};

/** Metrics of one gateway in a registry of their own, named `cdc_gateway_…`, and those of the Node process. */
export function createMetrics(figures: () => Figures): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const registers = [registry];
  const counter = (name: string, help: string, labelNames: string[]): Counter =>
    new Counter({ name: `cdc_gateway_${name}`, help, labelNames, registers });
  const requests = counter('requests_total', 'Requests that were answered.', ['route', 'status']);
  const tries = counter('upstream_tries_total', 'Requests sent to an instance, by what came of it. A request may have several.', [
    'upstream',
    'outcome',
  ]);
  const logins = counter('logins_total', 'Logins that were begun, done, failed.', ['outcome']);
  const refreshes = counter('token_refreshes_total', 'Times the tokens of a session were to be renewed, by what came of it.', ['outcome']);
  const durations = new Histogram({
    name: 'cdc_gateway_request_duration_seconds',
    help: 'From the head of a request until its answer is sent. Live streams are left out.',
    labelNames: ['route'],
    buckets: [0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
    registers,
  });
  const sessions = new Gauge({
    name: 'cdc_gateway_sessions',
    help: 'People who are logged in.',
    registers: [],
    collect() {
      this.set(figures().sessions);
    },
  });
  const instancesKnown = new Gauge({
    name: 'cdc_gateway_instances',
    help: 'Instances of a service that are known, by whether requests go to them.',
    labelNames: ['upstream', 'state'],
    registers: [],
    collect() {
      for (const { name, instances } of figures().upstreams) {
        const out = instances.filter(({ ejected }) => ejected).length;
        this.set({ upstream: name, state: 'in' }, instances.length - out);
        this.set({ upstream: name, state: 'out' }, out);
      }
    },
  });
  const open = new Gauge({
    name: 'cdc_gateway_requests_pending',
    help: 'Requests that are open at the instances of a service, live streams included.',
    labelNames: ['upstream'],
    registers: [],
    collect() {
      for (const { name, instances } of figures().upstreams) {
        this.set(
          { upstream: name },
          instances.reduce((sum, { pending }) => sum + pending, 0),
        );
      }
    },
  });
  for (const gauge of [sessions, instancesKnown, open]) registry.registerMetric(gauge);
  return {
    registry,
    answered(route, status, seconds) {
      requests.inc({ route, status: String(status) });
      if (seconds !== null) durations.observe({ route }, seconds);
    },
    tried: (upstream, outcome) => tries.inc({ upstream, outcome }),
    login: (outcome) => logins.inc({ outcome }),
    refresh: (outcome) => refreshes.inc({ outcome }),
  };
}
