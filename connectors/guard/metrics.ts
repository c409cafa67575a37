import type { Monitored } from '#pipeline/index.ts';
import { Counter, Gauge, Registry } from 'prom-client';
import { alarmNames, type GuardMemory, type GuardView } from './decide.ts';
import type { GuardEvent } from './watch.ts';

/** What the guard sees, in Prometheus' form. A figure that is unknown is absent, not the last one. */
export type GuardMetrics = {
  /** For the reference of metrics. */
  readonly registry: Registry;
  readonly observed: (name: string, view: GuardView, memory: GuardMemory) => void;
  readonly event: (event: GuardEvent) => void;
  readonly monitored: Monitored;
};

/** For the connectors of these names, looked at every `intervalMs`. */
export function guardMetrics(guarded: readonly string[], intervalMs: number): GuardMetrics {
  const registry = new Registry();
  const checks = new Map<string, LastCheck>();
  const gauge = (name: string, help: string, labels: readonly string[] = []): Gauge =>
    new Gauge({ name, help, labelNames: ['connector', ...labels], registers: [registry] });
  const counter = (name: string, help: string): Counter => new Counter({ name, help, labelNames: ['connector'], registers: [registry] });
  const running = gauge('cdc_connector_running', '1 if the connector and all its tasks are RUNNING.');
  const retained = gauge('cdc_connector_slot_retained_bytes', 'WAL that the slot keeps in the source.');
  const beatAge = gauge('cdc_connector_heartbeat_age_seconds', 'Age of the last heartbeat in the source.');
  const alarm = gauge('cdc_connector_alarm', '1 while the alarm is raised.', ['alarm']);
  const checkedAt = gauge('cdc_connector_last_look_timestamp_seconds', 'Time of the last check.');
  const restarts = counter('cdc_connector_restarts_total', 'Restarts by the guard.');
  const dropped = counter('cdc_connector_slots_dropped_total', 'Slots that the guard dropped. Each is a loss of changes.');
  return {
    registry,
    observed(connector, { connector: state, source }, { alarms }) {
      restarts.inc({ connector }, 0);
      dropped.inc({ connector }, 0);
      checkedAt.set({ connector }, Date.now() / 1000);
      checks.set(connector, { at: performance.now(), connector: state, source: source.kind });
      setOrRemove(running, connector, state === 'unknown' ? null : Number(state === 'running'));
      setOrRemove(retained, connector, source.kind === 'seen' ? (source.slot?.retainedBytes ?? null) : null);
      setOrRemove(beatAge, connector, source.kind === 'seen' && source.beatAgeMs !== null ? source.beatAgeMs / 1000 : null);
      for (const name of alarmNames) alarm.set({ connector, alarm: name }, Number(alarms.includes(name)));
    },
    event({ connector, event }) {
      if (event === 'restart') restarts.inc({ connector });
      if (event === 'slot-dropped') dropped.inc({ connector });
    },
    monitored: {
      whyNotReady: () => whyNotReady(checks, guarded, performance.now(), intervalMs),
      status: () => ({
        connectors: guarded.map((connector) => {
          const last = checks.get(connector);
          if (last === undefined) return { connector, checkedAt: null };
          const ageMs = Math.round(performance.now() - last.at);
          return { connector, checkedAt: new Date(Date.now() - ageMs).toISOString(), state: last.connector, source: last.source };
        }),
      }),
      contentType: registry.contentType,
      metrics: () => registry.metrics(),
    },
  };
}

function setOrRemove(metric: Gauge, connector: string, value: number | null): void {
  if (value === null) metric.remove({ connector });
  else metric.set({ connector }, value);
}

/** The last look at one connector. */
export type LastCheck = { readonly at: number; readonly connector: GuardView['connector']; readonly source: GuardView['source']['kind'] };

/** Looks that are late by less are a slow machine's. In ms. */
const patienceMs = 60_000;

/**
 * Why the guard does not do its work, one sentence each; none when it does. It is about the guard: a connector that FAILED is what it is there
 * for, and says so by its alarms.
 */
export function whyNotReady(
  checks: ReadonlyMap<string, LastCheck>,
  guarded: readonly string[],
  nowMs: number,
  intervalMs: number,
): readonly string[] {
  return guarded.flatMap((name) => {
    const last = checks.get(name);
    if (last === undefined) return [`${name}: not looked at yet`];
    const age = nowMs - last.at;
    return [
      ...(age > 3 * intervalMs + patienceMs ? [`${name}: last looked at ${Math.round(age / 1000)} s ago`] : []),
      ...(last.connector === 'unknown' ? [`${name}: Kafka Connect cannot be asked`] : []),
      ...(last.source === 'unknown' ? [`${name}: the legacy database cannot be asked`] : []),
    ];
  });
}
