import type { ConnectorConfig } from './config-file.ts';

/** Debezium's default of connect.keep.alive.interval.ms. */
const keepAliveMs = 60_000;

/**
 * How often a connector beats while nobody writes, in ms. One on a binlog then beats when it looks after its connection (at 0.8 of the
 * interval for that), whatever its heartbeat's interval says.
 */
export function beatEveryMs(config: ConnectorConfig): number {
  const interval = positive(config['heartbeat.interval.ms'], 0);
  if (!/\.(?:MariaDb|MySql)Connector$/.test(config['connector.class'] ?? '')) return interval;
  return Math.max(interval, positive(config['connect.keep.alive.interval.ms'], keepAliveMs));
}

/** From what age on a heartbeat is late, in ms: `warnMs` (connect.guard.warnHeartbeatMs), and never before two were missed for certain. */
export function lateAfterMs(everyMs: number, warnMs: number): number {
  return Math.max(warnMs, 3 * everyMs);
}

function positive(text: string | undefined, otherwise: number): number {
  const value = Number(text ?? otherwise);
  return value > 0 ? value : otherwise;
}
