import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadFigures } from '#cdc-poller/metrics/load-progress.ts';
import { createMetrics } from '#cdc-poller/metrics/prometheus.ts';
import { readinessOf } from '#cdc-poller/metrics/readiness.ts';
import { createTableMonitor, type TableMonitor } from '#cdc-poller/metrics/table-monitor.ts';
import { CdcError } from '#pipeline/index.ts';

/** A monitor under a clock that the test moves. */
function monitorAt(): { readonly monitor: TableMonitor; readonly clock: { ms: number } } {
  const clock = { ms: 1_000_000 };
  return { clock, monitor: createTableMonitor('public.t', 15_000, null, () => clock.ms) };
}

const poll = { complete: true, intervalMs: 100 };

test('lag counts from the start of the last poll that left nothing behind, and grows while polls fail or leave rows', () => {
  const { monitor, clock } = monitorAt();
  assert.equal(monitor.figures().lagSeconds, null);
  monitor.resumed(60_000);
  assert.equal(monitor.figures().lagSeconds, 60);
  const startedAt = clock.ms;
  clock.ms += 2000;
  monitor.polled({ ...poll, startedAt });
  assert.equal(monitor.figures().lagSeconds, 2);
  clock.ms += 5000;
  monitor.polled({ ...poll, startedAt: clock.ms, complete: false });
  assert.equal(monitor.figures().lagSeconds, 7);
  monitor.failed(new CdcError('LEGACY_DB_UNREACHABLE', 'gone'), false);
  clock.ms += 1000;
  monitor.resumed(1);
  assert.equal(monitor.figures().lagSeconds, 8, 'a new session does not make it younger');
});

test('fence lag is what the floor is behind the clock, and goes on growing between polls', () => {
  const { monitor, clock } = monitorAt();
  monitor.observed({ clock: 10_000_000n, floor: 4_000_000n, rememberedKeys: 3 });
  clock.ms += 500;
  const { fenceLagSeconds, rememberedKeys } = monitor.figures();
  assert.deepEqual({ fenceLagSeconds, rememberedKeys }, { fenceLagSeconds: 6.5, rememberedKeys: 3 });
});

test('a table without success for too long is stuck, a failed one at once; success ends the first', () => {
  const { monitor, clock } = monitorAt();
  clock.ms += 15_000;
  assert.equal(monitor.figures().stuck, false);
  clock.ms += 1;
  assert.equal(monitor.figures().stuck, true);
  monitor.loading(loadFigures(null, 1000, 10));
  assert.equal(monitor.figures().stuck, false, 'a page of a load is a success');
  monitor.polled({ ...poll, startedAt: clock.ms });
  monitor.failed(new CdcError('SELECT_MISSING', 'may not'), true);
  assert.equal(monitor.figures().stuck, true);
});

test('readiness names every table that is stuck with its error, and a process that is no member', () => {
  const { monitor } = monitorAt();
  const figures = { poller: 'p', sharing: 'group', member: true, tables: [monitor.figures()] } as const;
  assert.deepEqual(readinessOf(figures), { ready: true, reasons: [] });
  assert.equal(readinessOf({ ...figures, tables: [], member: false }).ready, false);
  assert.equal(readinessOf({ ...figures, tables: [] }).ready, true, 'a member without tables is ready');
  monitor.failed(new CdcError('SELECT_MISSING', 'role x may not read table public.t'), true);
  const { ready, reasons } = readinessOf({ ...figures, tables: [monitor.figures()] });
  assert.equal(ready, false);
  assert.match(reasons.join(), /public\.t has stopped.*SELECT_MISSING: role x may not read/);
});

test('what is left of a load is estimated only while the estimate holds', () => {
  assert.deepEqual(loadFigures(10_000, 2500, 1000), { rowsRead: 2500, rowsPerSecond: 2500, rowsRemaining: 7500, secondsRemaining: 3 });
  assert.deepEqual(loadFigures(100, 2500, 1000), { rowsRead: 2500, rowsPerSecond: 2500, rowsRemaining: null, secondsRemaining: null });
  assert.deepEqual(loadFigures(null, 0, 0), { rowsRead: 0, rowsPerSecond: 0, rowsRemaining: null, secondsRemaining: null });
});

test('the endpoint shows each table by its label, counts again on every scrape, and forgets a table that moved away', async () => {
  const { monitor } = monitorAt();
  let tables = [monitor.figures()];
  const metrics = createMetrics(() => ({ poller: 'p', sharing: 'group', member: true, tables }));
  monitor.queried(2, 7);
  monitor.published(5);
  monitor.failed(new CdcError('LEGACY_DB_UNREACHABLE', 'gone'), false);
  metrics.polled('public.t', 0.02);
  tables = [monitor.figures()];
  for (let scrape = 0; scrape < 2; scrape += 1) {
    const text = await metrics.render();
    assert.match(text, /^cdc_poller_rows_published_total\{table="public\.t"\} 5$/m);
    assert.match(text, /^cdc_poller_rows_read_total\{table="public\.t"\} 7$/m);
    assert.match(text, /^cdc_poller_queries_total\{table="public\.t"\} 2$/m);
    assert.match(text, /^cdc_poller_errors_total\{table="public\.t",code="LEGACY_DB_UNREACHABLE"\} 1$/m);
    assert.match(text, /^cdc_poller_phase\{table="public\.t",phase="waiting"\} 1$/m);
    assert.match(text, /^cdc_poller_group_member 1$/m);
    assert.match(text, /^cdc_poller_poll_duration_seconds_bucket\{le="0\.025",table="public\.t"\} 1$/m);
  }
  tables = [];
  assert.doesNotMatch(await metrics.render(), /cdc_poller_rows_published_total\{/);
});
