import assert from 'node:assert/strict';
import { test } from 'node:test';
import { judgeClaims } from '#comparison/outcomes/claims.ts';
import { measured, notMeasured } from '#comparison/measured.ts';
import { reportFile } from '#comparison/report/file.ts';
import { renderHtml } from '#comparison/report/html.ts';
import { renderMarkdown } from '#comparison/report/markdown.ts';
import { reportJson, type ComparisonReport } from '#comparison/report/report.ts';
import { renderTerminal } from '#comparison/report/terminal.ts';
import { differences, keyList, strategyReport, tableEvents } from '#test/support/comparison-report.ts';

const strategies = {
  log: strategyReport({
    events: tableEvents({ deletes: { committed: 2, seen: 2, lost: keyList(), ofUnseen: keyList() } }),
    rows: differences(),
  }),
  query: strategyReport({
    events: tableEvents({
      states: {
        committed: 123_456,
        superseded: 100_000,
        seen: 100_000,
        lost: { count: 23_456, keys: Array.from({ length: 20 }, (_v, i) => String(1000 + i)) },
      },
      deletes: { committed: 2, seen: 0, lost: keyList('17', '18'), ofUnseen: keyList() },
    }),
    rows: differences({ source: 123_456, ghost: keyList('17', '18'), stale: keyList('5'), staleColumns: { status: 1 } }),
    latencyMs: null,
  }),
  sweep: {
    ...strategyReport({
      events: tableEvents({ deletes: { committed: 2, seen: 1, lost: keyList('18'), ofUnseen: keyList('18') } }),
      rows: differences({ ghost: keyList('19') }),
    }),
    cost: measured({
      queriesPerMinute: measured(2400.4),
      rowsReadPerMinute: measured(600_000),
      processorMsPerMinute: notMeasured('elsewhere'),
      walKeptBytes: notMeasured('it has no replication slot'),
    }),
  },
};
const report: ComparisonReport = {
  format: 2,
  startedAt: '2026-01-01T00:00:00.000Z',
  caughtUpAt: '2026-01-01T00:00:21.000Z',
  tables: ['public.orders'],
  workload: null,
  strategies,
  claims: judgeClaims(strategies, { latencyLimitMs: 1000, sourceMoved: false }),
  notes: ['The source changed.'],
};

test('keys and other programs’ words make neither HTML nor a link, a line, a cell or a terminal’s command of a report', () => {
  const evil = 'x\u001b[2J\u009b0m <img src=x onerror=alert(1)> [a](javascript:b) | y\n# heading \u202e';
  const marked: ComparisonReport = { ...report, notes: [evil], tables: [evil] };
  for (const text of [renderMarkdown(marked), renderHtml(marked)]) {
    assert.ok(!/(?!\n)\p{Cc}|\u202e|<img|\n# heading/u.test(text), text.slice(-400));
    assert.ok(text.includes('x\\u001b[2J') || text.includes('x\\u001b\\[2J'));
  }
  assert.ok(!/(?<!\\)\[a\]/.test(renderMarkdown(marked)));
});

test('the terminal report fits 120 columns and has no colour codes', () => {
  const text = renderTerminal(report);
  for (const line of text.split('\n')) assert.ok(line.length <= 120, line);
  assert.ok(!text.includes('\u001B'));
});

test('ghost rows, stale rows and lost states are named by key, all others are counted', () => {
  for (const text of [renderTerminal(report).replaceAll(/\n\s+/g, ' '), renderMarkdown(report)]) {
    assert.match(text, /query \(poller\): 2 ghost rows in public\.orders: 17, 18\b/);
    assert.match(text, /query \(poller\): 1 stale row \(status 1\) in public\.orders: 5\b/);
    assert.match(text, /query \+ sweep: 1 ghost row in public\.orders: 19\b/);
    assert.match(text, /query \+ sweep: 1 delete of rows that came and went unseen in public\.orders: 18\b/);
    assert.match(text, /query \(poller\): 23456 states lost in public\.orders: 1000, 1001, .*1011 …/);
  }
});

test('what was not measured is a dash with its reason, never a zero', () => {
  const text = renderTerminal(report);
  const line = text.split('\n').find((each) => each.includes('updates to the read model, query (poller)'));
  assert.ok(line !== undefined && !/\d/.test(line) && line.includes('–'), line);
  assert.match(text.replaceAll(/\s+/g, ' '), /not measured \(no event of this run arrived\)/);
});

test('each claim gets its verdict in words', () => {
  const text = renderTerminal(report).replaceAll(/\s+/g, ' ');
  assert.ok(
    text.includes(
      '"Query-based cannot see deletes." Tested: Every delete is published. Holds for: only the log. Log: 2 of 2 deletes published.',
    ),
  );
  assert.ok(text.includes('Query + sweep: 1 of 2 deletes published; of the others, 1 row came and went unseen.'));
});

test('what each strategy asked of the source is beside the others, with a dash where nobody knows', () => {
  const text = renderMarkdown(report);
  assert.match(text, /\| queries per minute \| – \| – \| 2400 \|/);
  assert.match(text, /\| processor time of its sessions, ms per minute \| – \| – \| – \|/);
});

test('a run without the third contender has no column for it', () => {
  const two = { ...strategies, sweep: null };
  const text = renderMarkdown({ ...report, strategies: two, claims: judgeClaims(two, { latencyLimitMs: 1000, sourceMoved: false }) });
  assert.ok(!text.includes('query + sweep'));
  assert.match(text, /\| Every delete is published \| yes \| no \|/);
});

test('the page has every table and claim, and escapes what others wrote', () => {
  const page = renderHtml({ ...report, notes: ['not an event: <script>alert("&")</script>'] });
  assert.ok(page.includes('<td>query + sweep</td>') && page.includes('1 ghost row in public.orders: 19</li>'));
  assert.ok(page.includes('&lt;script&gt;alert("&amp;")&lt;/script&gt;') && !page.includes('<script'));
});

test('a report file of another kind is refused before anything runs', () => {
  assert.equal(reportFile('a/report.html'), 'a/report.html');
  assert.throws(() => reportFile('report.pdf'), /\.html, \.md or \.json/);
});

test('the JSON is the report, whole', () => {
  assert.deepEqual(JSON.parse(reportJson(report)), report);
});
