import assert from 'node:assert/strict';
import { test } from 'node:test';
import { adviseTable, type Advice } from '#doctor/postgres/advice.ts';
import { finding, type Finding } from '#doctor/finding.ts';
import type { FoundTable } from '#doctor/postgres/probe/tables.ts';
import type { ServerFacts } from '#doctor/postgres/probe/server.ts';
import { polledTables } from '#doctor/polled-tables.ts';
import { renderReport } from '#doctor/render.ts';
import { exitCodeOf, makeReport, type Report } from '#doctor/report.ts';
import { pollerTableSchema } from '#pipeline/config/settings/poller-table-settings.ts';

const id = { schema: 'public', table: 'orders' };
const subject = { kind: 'table', name: 'public.orders', table: 'public.orders' } as const;
const walLevel = finding('WAL_LEVEL', 'log', { kind: 'setting', name: 'wal_level' }, { value: 'replica' });
const deletes = finding('DELETES_INVISIBLE', 'query', subject, { deletes: '3' });
const slotRisk = finding('SLOT_AT_RISK', 'log', { kind: 'slot', name: 's' }, { status: 'unreserved', left: 'nothing left' });
const hidden = finding('POLLED_QUERY', 'query', subject, {});
const notMoved = finding(
  'TIMESTAMP_NOT_MOVED',
  'query',
  { ...subject, kind: 'column', name: 'public.orders.updated_at' },
  {
    detail: 'no trigger',
    table: 'public.orders',
    triggerOrAnotherWay: 'CREATE FUNCTION public."a long name with blanks in it, so that the line is a long one"();\nCREATE TRIGGER t;',
    ownerOrEditor: 'owner of the table',
  },
);

const reportOf = (...findings: readonly Finding[]): Report =>
  makeReport({ server: 'h:1', database: 'd', strategies: ['query', 'log'], findings, advice: [] });

test('the exit code: 1 for an error, else 2 for a warning or an unknown, else 0', () => {
  assert.equal(exitCodeOf(reportOf()), 0);
  assert.equal(exitCodeOf(reportOf(deletes)), 0);
  assert.equal(exitCodeOf(reportOf(deletes, slotRisk)), 2);
  assert.equal(exitCodeOf(reportOf(hidden)), 2);
  assert.equal(exitCodeOf(reportOf(slotRisk, walLevel)), 1);
});

test('findings are in one order, worst first, each once', () => {
  const { findings, summary } = reportOf(deletes, slotRisk, hidden, walLevel, walLevel);
  assert.deepEqual(
    findings.map(({ code }) => code),
    ['WAL_LEVEL', 'SLOT_AT_RISK', 'POLLED_QUERY', 'DELETES_INVISIBLE'],
  );
  assert.deepEqual(summary, { error: 1, warning: 1, unknown: 1, info: 1 });
});

test('for a person: server first, then tables, no line wider than 100 unless it is one word', () => {
  const text = renderReport({
    ...reportOf(deletes, walLevel),
    advice: [{ table: 'public.orders', advice: 'log', reasons: ['r'], before: ['WAL_LEVEL'] }],
  });
  assert.equal(
    text,
    `d at h:1, for query and log-based capture

server, roles, Kafka Connect
  error   WAL_LEVEL wal_level (log)
          wal_level is replica: the log lacks what logical decoding needs.
          effect  No replication slot can be created, so the connector fails at once. The restart
                  ends all sessions. The server then writes slightly more WAL.
          remedy  ALTER SYSTEM SET wal_level = logical; then restart the server.
          who     superuser, and a restart of the server

public.orders
  info    DELETES_INVISIBLE (query)
          Rows of public.orders are deleted (3 since the statistics began), and a query cannot see
          that.
          effect  Deleted rows of public.orders stay in the read model as ghosts.
          remedy  Use the log-based strategy for this table, or the key sweep.
          who     who edits pipeline.yaml

advice
  public.orders: log
    - r
    - first fix WAL_LEVEL

1 error, 0 warnings, 0 unknown, 1 info`,
  );
});

const found: FoundTable = {
  kind: 'r',
  persistence: 'p',
  owner: 'o',
  ownedByOwnerRole: true,
  replicaIdentity: 'f',
  bytes: 0,
  toastBytes: 0,
  mayUseSchema: true,
  maySelect: true,
  mayUpdate: false,
  mayInsert: false,
  rowSecurityApplies: false,
  policies: [],
  columns: [],
  indexes: [
    { columns: ['id'], unique: true, primary: true, immediate: true, replicaIdentity: false, partial: false, valid: true, method: 'btree' },
  ],
  triggers: [],
  partitions: [],
  statistics: { rows: 1000, inserts: 0, updates: 0, deletes: 0 },
};
const server: ServerFacts = {
  version: 180_000,
  standby: false,
  database: 'd',
  walLevel: 'logical',
  maxWalSenders: 4,
  maxReplicationSlots: 4,
  awaitedStandbys: null,
  maxSlotWalKeepSize: 1,
  walSenders: 0,
  statisticsSeconds: 36_000,
};
type Case = {
  statistics?: Partial<FoundTable['statistics']>;
  findings?: Finding[];
  logExamined?: boolean;
  wal?: string;
  keyless?: boolean;
  unpolled?: boolean;
};

function advise({ statistics = {}, findings = [], logExamined = true, wal = 'logical', keyless = false, unpolled = false }: Case): Advice {
  const [polled] = polledTables([pollerTableSchema.parse({ table: 'public.orders' })], []);
  const table = { ...found, statistics: { ...found.statistics, ...statistics }, indexes: keyless ? [] : found.indexes };
  const advice = adviseTable({
    facts: { id, found: table, similar: [] },
    polled: unpolled ? undefined : polled,
    server: { ...server, walLevel: wal },
    findings,
    logExamined,
  });
  assert.ok(advice);
  return advice;
}

test('a table with reliable columns and no deletes is polled: the least rights', () => {
  assert.equal(advise({}).advice, 'query');
});

test('a table whose timestamp does not move is read from the log, whatever must be fixed first', () => {
  const advice = advise({ findings: [notMoved, walLevel], wal: 'replica' });
  assert.deepEqual({ advice: advice.advice, before: advice.before }, { advice: 'log', before: ['WAL_LEVEL'] });
  assert.match(advice.reasons[0] ?? '', /Nothing in the database moves public\.orders\.updated_at/);
});

test('deletes turn the advice to the log where it is ready, else to a sweep, which needs a key', () => {
  const statistics = { deletes: 5 };
  assert.equal(advise({ statistics }).advice, 'log');
  assert.equal(advise({ statistics, logExamined: false }).advice, 'query + sweep');
  assert.equal(advise({ statistics, findings: [walLevel], wal: 'replica' }).advice, 'query + sweep');
  assert.equal(advise({ statistics, logExamined: false, keyless: true }).advice, 'log');
});

test('a table that is updated very often is read from the log where it is ready: states between polls would be lost', () => {
  assert.equal(advise({ statistics: { updates: 36_000 * 60 } }).advice, 'log');
  assert.equal(advise({ statistics: { updates: 10 * 100, rows: 1 } }).advice, 'log');
  assert.equal(advise({ statistics: { updates: 36_000 } }).advice, 'query');
  const hot = advise({ statistics: { updates: 36_000 * 60 }, logExamined: false });
  assert.equal(hot.advice, 'query');
  assert.match(hot.reasons.join(), /about 60 updates per second: states between two polls are lost/);
});

test('a table that nobody polls yet is advised by its columns', () => {
  assert.equal(advise({ unpolled: true }).advice, 'log');
});

test('errors of another table do not count', () => {
  const other = { kind: 'table', name: 'public.other', table: 'public.other' } as const;
  const elsewhere = finding('TABLE_UNLOGGED', 'log', other, { persistence: 'unlogged', sqlTable: 'public.other' });
  assert.equal(advise({ statistics: { deletes: 1 }, findings: [elsewhere] }).advice, 'log');
});
