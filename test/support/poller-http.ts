import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { fetchFigures } from '#cdc-poller/metrics/live-figures.ts';
import type { ProcessFigures } from '#cdc-poller/metrics/prometheus.ts';
import type { TableFigures } from '#cdc-poller/metrics/table-monitor.ts';

/** The HTTP side of a running poller. */
export type PollerEndpoint = {
  get(path: string): Promise<{ readonly status: number; readonly text: string }>;
  figures(): Promise<ProcessFigures>;
  table(name: string): Promise<TableFigures>;
  /** Waits until a table's figures are as asked. */
  until(name: string, condition: (figures: TableFigures) => boolean, timeoutMs?: number): Promise<TableFigures>;
};

export function pollerEndpoint(port: number, pollerName: string): PollerEndpoint {
  const url = `http://127.0.0.1:${port}`;
  const figures = async (): Promise<ProcessFigures> => {
    const found = await fetchFigures(url, pollerName);
    assert.ok(found, `no figures of ${pollerName} at ${url}`);
    return found;
  };
  const table = async (name: string): Promise<TableFigures> => {
    const { tables } = await figures();
    const found = tables.find((entry) => entry.table === name);
    assert.ok(found, `no figures of ${name} among ${tables.map((entry) => entry.table).join(', ')}`);
    return found;
  };
  return {
    async get(path) {
      const response = await fetch(new URL(path, url));
      return { status: response.status, text: await response.text() };
    },
    figures,
    table,
    async until(name, condition, timeoutMs = 60_000) {
      const deadline = performance.now() + timeoutMs;
      let last: TableFigures | null = null;
      while (performance.now() < deadline) {
        last = await table(name).catch(() => null);
        if (last !== null && condition(last)) return last;
        await delay(50);
      }
      assert.fail(`not within ${timeoutMs} ms; the figures are ${JSON.stringify(last)}`);
    },
  };
}
