import { once } from 'node:events';
import { createServer } from 'node:http';
import { Counter, Gauge, Registry } from 'prom-client';
import { alarmNames, type GuardMemory, type GuardView } from './decide.ts';
import type { GuardEvent } from './watch.ts';

/** What the guard sees, in Prometheus' form. A figure that is unknown is absent, not the last one. */
export type GuardMetrics = {
  readonly look: (name: string, view: GuardView, memory: GuardMemory) => void;
  readonly event: (event: GuardEvent) => void;
  readonly text: () => Promise<string>;
};

export function guardMetrics(): GuardMetrics {
  const registry = new Registry();
  const gauge = (name: string, help: string, labels: readonly string[] = []): Gauge =>
    new Gauge({ name, help, labelNames: ['connector', ...labels], registers: [registry] });
  const counter = (name: string, help: string): Counter => new Counter({ name, help, labelNames: ['connector'], registers: [registry] });
  const running = gauge('cdc_connector_running', '1 when the connector and all of its tasks are RUNNING');
  const retained = gauge('cdc_connector_slot_retained_bytes', 'WAL that the slot keeps in the source');
  const beatAge = gauge('cdc_connector_heartbeat_age_seconds', 'Since the last heartbeat in the source');
  const alarm = gauge('cdc_connector_alarm', '1 while the alarm holds', ['alarm']);
  const looked = gauge('cdc_connector_last_look_timestamp_seconds', 'When the guard last looked');
  const restarts = counter('cdc_connector_restarts_total', 'Restarts by the guard');
  const dropped = counter('cdc_connector_slots_dropped_total', 'Slots dropped by policy, each a loss');
  return {
    look(connector, { connector: state, source }, { alarms }) {
      restarts.inc({ connector }, 0);
      dropped.inc({ connector }, 0);
      looked.set({ connector }, Date.now() / 1000);
      setOrRemove(running, connector, state === 'unknown' ? null : Number(state === 'running'));
      setOrRemove(retained, connector, source.kind === 'seen' ? (source.slot?.retainedBytes ?? null) : null);
      setOrRemove(beatAge, connector, source.kind === 'seen' && source.beatAgeMs !== null ? source.beatAgeMs / 1000 : null);
      for (const name of alarmNames) alarm.set({ connector, alarm: name }, Number(alarms.includes(name)));
    },
    event({ connector, event }) {
      if (event === 'restart') restarts.inc({ connector });
      if (event === 'slot-dropped') dropped.inc({ connector });
    },
    text: () => registry.metrics(),
  };
}

function setOrRemove(metric: Gauge, connector: string, value: number | null): void {
  if (value === null) metric.remove({ connector });
  else metric.set({ connector }, value);
}

/** Serves `/metrics` at a port (0: any free one) of `host`. @throws when the port is taken */
export async function serveMetrics(
  metrics: GuardMetrics,
  port: number,
  host: string,
): Promise<AsyncDisposable & { readonly port: number }> {
  const server = createServer((request, response) => {
    if (request.url !== '/metrics') {
      response.writeHead(404).end();
      return;
    }
    metrics.text().then(
      (text) => response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' }).end(text),
      () => response.writeHead(500).end(),
    );
  });
  server.listen(port, host);
  await once(server, 'listening');
  const address = server.address();
  return {
    port: address !== null && typeof address === 'object' ? address.port : port,
    [Symbol.asyncDispose]: async () => {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}
