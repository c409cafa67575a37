import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Capture } from '#doctor/capture.ts';
import { attemptsOf } from '#doctor/attempt.ts';
import { readCaptures } from '#doctor/capture.ts';
import type { Finding } from '#doctor/finding.ts';
import { judgeConnect, judgeFile } from '#doctor/connect/judge-connector.ts';
import { judgeMovement, mayBeStalled, rhythmOf, shouldMove, type Movement, type HeartbeatState } from '#doctor/connect/judge-movement.ts';
import { judgeClock } from '#doctor/postgres/judge/server.ts';
import { judgeForeignSlot, judgeSlot } from '#doctor/postgres/judge/slot.ts';
import { judgeCapturedTopics } from '#doctor/connect/judge-topics.ts';
import { examineTopics } from '#doctor/topics/examine-topics.ts';
import { columnMover } from '#doctor/postgres/judge/timestamp-trigger.ts';
import { polledTables } from '#doctor/polled-tables.ts';
import type { ConnectorFacts } from '#doctor/connect/probe-connect.ts';
import type { SlotFacts } from '#doctor/postgres/probe/replication.ts';
import type { TriggerFacts } from '#doctor/postgres/probe/tables.ts';
import { stillOpen, type OpenTransaction } from '#doctor/postgres/probe/transactions.ts';
import { refusalFinding } from '#doctor/refusal-finding.ts';
import { pollerTableSchema } from '#pipeline/config/settings/poller-table-settings.ts';
import { pipelineSchema } from '#pipeline/config/schema.ts';
import { CdcError } from '#pipeline/index.ts';

const codes = (findings: readonly Finding[]): readonly string[] => findings.map(({ severity, code }) => `${severity} ${code}`);

function trigger(source: string, changes: Partial<TriggerFacts> = {}): { triggers: TriggerFacts[] } {
  const definition = 'CREATE TRIGGER touch BEFORE UPDATE ON public.t FOR EACH ROW EXECUTE FUNCTION touch()';
  const plain = {
    name: 'touch',
    beforeUpdate: true,
    enabled: true,
    definition,
    columns: [],
    function: 'touch',
    language: 'plpgsql',
    arguments: '',
  };
  return { triggers: [{ ...plain, source, ...changes }] };
}

test('a trigger moves a column when its function plainly sets it', () => {
  for (const source of [
    'BEGIN NEW.updated_at := now(); RETURN NEW; END',
    'BEGIN IF NEW.a = 1 THEN RETURN NEW; END IF; NEW.updated_at = now(); RETURN NEW; END',
    'BEGIN\n  new.updated_at = clock_timestamp();\n  RETURN new;\nEND',
    'BEGIN NEW."updated_at" := now(); RETURN NEW; END',
    'BEGIN SELECT now() INTO NEW.updated_at; RETURN NEW; END',
    'begin if new.a <> old.a then new.updated_at := now(); end if; return new; end',
  ]) {
    assert.equal(columnMover(trigger(source), 'updated_at').kind, 'moved', source);
  }
  assert.equal(columnMover(trigger('moddatetime', { language: 'c', arguments: String.raw`updated_at\000` }), 'updated_at').kind, 'moved');
});

test('a trigger does not move a column by comparing it, by a comment, by a name that only begins the same, or as another one', () => {
  for (const [source, kind] of [
    ['BEGIN -- once: a := b; NEW.updated_at := now();\n RETURN NEW; END', 'unmoved'],
    ['BEGIN /* a := b; NEW.updated_at := now(); */ RETURN NEW; END', 'unmoved'],
    ['BEGIN NEW.updated_at_day := now(); RETURN NEW; END', 'unmoved'],
    ['BEGIN NEW.changed := now(); RETURN NEW; END', 'unmoved'],
    ['BEGIN IF NEW.updated_at = OLD.updated_at THEN RAISE EXCEPTION $$x$$; END IF; RETURN NEW; END', 'unclear'],
    ['BEGIN NEW := jsonb_populate_record(NEW, $1); RETURN NEW; END', 'unclear'],
    ['BEGIN EXECUTE format($$…$$); RETURN NEW; END', 'unclear'],
  ] as const) {
    assert.equal(columnMover(trigger(source), 'updated_at').kind, kind, source);
  }
  assert.equal(columnMover({ triggers: [] }, 'updated_at').kind, 'unmoved');
  assert.equal(columnMover(trigger('touch', { language: 'c' }), 'updated_at').kind, 'unclear');
});

test('a clock is reported only when the difference is surer than the round trip', () => {
  assert.deepEqual(codes(judgeClock({ offsetMs: 1500, uncertaintyMs: 600 }, 's')), []);
  assert.deepEqual(codes(judgeClock({ offsetMs: -1500, uncertaintyMs: 400 }, 's')), ['warning CLOCK_OFFSET']);
  assert.match(judgeClock({ offsetMs: -5000, uncertaintyMs: 1 }, 's')[0]?.cause ?? '', /5\.0 s behind/);
});

function open(virtualXid: string): OpenTransaction {
  return { pid: 1, virtualXid, writing: true, role: 'r', database: 'd', application: '', ageSeconds: null };
}

test('a transaction of hidden age counts only when it is still open at the second look', () => {
  const still = stillOpen({ open: [open('3/1'), open('4/1')], prepared: [] }, { open: [open('4/1'), open('3/2')], prepared: [] });
  assert.deepEqual(
    still.open.map(({ virtualXid }) => virtualXid),
    ['4/1'],
  );
});

const slot: SlotFacts = {
  name: 's',
  type: 'logical',
  plugin: 'pgoutput',
  database: 'd',
  temporary: false,
  active: true,
  activePid: 7,
  reader: 'cdc_replicator, Debezium Streaming, 10.0.0.1',
  walStatus: 'reserved',
  safeWalBytes: null,
  restartLsn: '1/0',
  confirmedFlushLsn: '1/100',
  retainedBytes: 0,
};
const file = {
  name: 'c',
  config: {
    'connector.class': 'io.debezium.connector.postgresql.PostgresConnector',
    'slot.name': 's',
    'plugin.name': 'pgoutput',
    'table.include.list': 'a.b',
  },
};
function captureOf(): Capture {
  const [capture] = readCaptures([file]).captures;
  assert.ok(capture);
  return capture;
}
function connector(state: string, lsn?: number, task = 'RUNNING'): ConnectorFacts {
  const health = task === 'FAILED' || state === 'FAILED' ? 'failed' : state === 'RUNNING' ? 'running' : 'halted';
  return {
    name: 'c',
    running: file.config,
    status: { name: 'c', state, tasks: [{ id: 0, state: task, worker: 'w' }], health },
    offsets: lsn === undefined ? [] : [{ partition: { server: 'log' }, offset: { lsn, lsn_proc: lsn - 8, lsn_commit: lsn - 16 } }],
    problems: [],
  };
}
const judged = (changes: Partial<SlotFacts> | undefined, known: ConnectorFacts | null): readonly string[] =>
  codes(judgeSlot(changes === undefined ? undefined : { ...slot, ...changes }, captureOf(), { database: 'd', connector: known }));
const at = (high: number, low: number): number => high * 2 ** 32 + low;

test('a slot is well with its own connector, however far apart they are in the right direction', () => {
  assert.deepEqual(judged({}, connector('RUNNING', at(1, 0x100))), []);
  assert.deepEqual(judged({}, connector('RUNNING', at(2, 0))), []);
  assert.deepEqual(judged({}, connector('PAUSED')), []);
  assert.deepEqual(judged(undefined, connector('STOPPED')), []);
  assert.deepEqual(judged({}, connector('RUNNING', at(1, 0xff))), ['error OFFSET_BEHIND_SLOT']);
  assert.deepEqual(judged(undefined, connector('STOPPED', at(1, 0))), ['error OFFSET_WITHOUT_SLOT']);
});

test('a position of a snapshot that is not complete needs no slot: it begins again', () => {
  const [first] = connector('RUNNING', at(1, 0)).offsets ?? [];
  assert.ok(first?.offset);
  const snapshotting = {
    ...connector('RUNNING'),
    offsets: [{ ...first, offset: { ...first.offset, snapshot: 'INITIAL', snapshot_completed: false } }],
  };
  assert.deepEqual(judged(undefined, snapshotting), []);
});

test('who reads a slot: somebody else when the connector is absent, stopped or failed, or when it is no Debezium', () => {
  assert.deepEqual(judged({}, { ...connector('RUNNING'), status: null }), ['error SLOT_BUSY']);
  assert.deepEqual(judged({}, connector('STOPPED')), ['error SLOT_BUSY']);
  assert.deepEqual(judged({}, connector('RUNNING', undefined, 'FAILED')), ['error SLOT_BUSY']);
  assert.deepEqual(judged({ reader: 'cdc_replicator, psql' }, connector('RUNNING')), ['error SLOT_BUSY']);
  assert.deepEqual(judged({}, null), ['unknown SLOT_HOLDER_UNKNOWN']);
});

test('an invalidated slot is lost, and says nothing else; one that has lost all keeps no WAL for anybody', () => {
  assert.deepEqual(judged({ active: false, walStatus: 'lost' }, connector('STOPPED', at(1, 0))), ['error SLOT_LOST']);
  assert.deepEqual(judged({ active: false, invalidationReason: 'idle_timeout' }, null), ['error SLOT_LOST']);
  assert.deepEqual(codes(judgeForeignSlot({ ...slot, active: false, walStatus: 'lost' })), []);
  assert.deepEqual(codes(judgeForeignSlot({ ...slot, active: false })), ['warning SLOT_INACTIVE']);
});

test('what Connect reports of a connector', () => {
  const reported = (facts: ConnectorFacts): readonly string[] =>
    codes(judgeConnect({ state: 'reachable', connectors: [facts], unreadable: [] }, [file]));
  assert.deepEqual(reported(connector('RUNNING')), []);
  assert.deepEqual(reported(connector('FAILED')), ['error CONNECTOR_FAILED']);
  assert.deepEqual(reported(connector('RUNNING', undefined, 'FAILED')), ['error TASK_FAILED']);
  assert.deepEqual(reported(connector('PAUSED')), ['warning CONNECTOR_HALTED']);
  assert.deepEqual(reported({ ...connector('RUNNING'), running: null, status: null }), []);
  const silent = { state: 'reachable', connectors: [], unreadable: [{ name: 'c', detail: 'x' }] } as const;
  assert.deepEqual(codes(judgeConnect(silent, [file])), ['unknown CONNECTOR_UNREADABLE']);
});

test('a Connect that answers whoever asks, and a source that is reached without insisting on TLS, are reported', () => {
  const answering = { state: 'reachable', openAt: 'http://c:8083', connectors: [], unreadable: [] } as const;
  assert.deepEqual(codes(judgeConnect(answering, [])), ['warning CONNECT_OPEN']);
  const reported = (config: Record<string, string>, server = 'localhost:5432'): readonly string[] =>
    codes(judgeFile({ name: 'c', config: { 'topic.prefix': 'log', ...config } }, { topicPrefix: 'log', database: 'd', server }));
  const tls = ['warning SOURCE_TLS_OPTIONAL'];
  const host = 'database.hostname';
  for (const mode of ['', 'disable', 'allow', 'prefer'])
    assert.deepEqual(reported({ [host]: 'db.internal', 'database.sslmode': mode }), tls, mode);
  for (const mode of ['require', 'verify-ca', 'verify-full', '${env:MODE}']) {
    assert.deepEqual(reported({ [host]: 'db.internal', 'database.sslmode': mode }), [], mode);
  }
  const mariadb = { 'connector.class': 'io.debezium.connector.mariadb.MariaDbConnector', [host]: 'db.internal' };
  assert.deepEqual(reported({ ...mariadb, 'database.sslmode': 'require' }), tls);
  assert.deepEqual(reported({ ...mariadb, 'database.ssl.mode': 'verify_identity' }), []);
  for (const here of ['localhost', '127.0.0.1', '::1', '/run/postgresql']) assert.deepEqual(reported({ [host]: here }), [], here);
  // A reference is the worker's to resolve: what legacyDb says is taken for it.
  assert.deepEqual(reported({ [host]: '${env:LEGACY_DB_HOST}' }), []);
  assert.deepEqual(reported({ [host]: '${env:LEGACY_DB_HOST}' }, 'db.internal:5432'), tls);
});

const rhythm = rhythmOf({ 'heartbeat.interval.ms': '5000', 'exactly.once.support': 'required' }, 60_000, true);
const seenAt = (moment: number, state: Partial<HeartbeatState>, readMs = 0): Movement => ({
  heartbeat: { at: moment, sourceMs: moment, beatAgeMs: 1000, readerMs: 1e6, blockers: [], ...state },
  offsets: [{ partition: {}, offset: { lsn: readMs, ts_usec: readMs * 1000 } }],
});
const stalled = (first: Movement, second: Movement, its = rhythm): readonly string[] =>
  codes(judgeMovement(connector('RUNNING', at(1, 0)), first, second, its));

test('a connector is stalled when two looks see no beat, or no position, move; one that moves is only behind', () => {
  const still = [seenAt(100_000, { beatAgeMs: 90_000 }), seenAt(113_000, { beatAgeMs: 103_000 })] as const;
  assert.deepEqual(stalled(...still), ['error CONNECTOR_STALLED']);
  assert.deepEqual(
    stalled(seenAt(100_000, { beatAgeMs: 90_000 }), seenAt(113_000, { beatAgeMs: 103_000 }, 1)),
    [],
    'far behind, but moving',
  );
  assert.deepEqual(
    stalled(seenAt(100_000, { beatAgeMs: 90_000 }), seenAt(113_000, { beatAgeMs: 4000 }, 99_000)),
    [],
    'it has just begun again',
  );
  const quick = rhythmOf({ 'heartbeat.interval.ms': '300' }, 1000, false);
  const once = [seenAt(100_000, { beatAgeMs: 2000 }), seenAt(103_600, { beatAgeMs: 3500 })] as const;
  assert.deepEqual(stalled(...once, quick), [], 'it beat after the first look, if not since');
  const gone = [
    { ...still[0], offsets: null },
    { ...still[1], offsets: null },
  ] as const;
  assert.deepEqual(stalled(...gone), ['error CONNECTOR_STALLED'], 'Connect reports no position');
  const beating = [seenAt(100_000, {}), seenAt(113_000, {})] as const;
  assert.deepEqual(stalled(...beating), ['warning CONNECTOR_STALLED'], 'what it beats is not stored');
});

test('whether a connector halts is unknown when it has just connected, or when its next beat may be due after the look', () => {
  const first = seenAt(100_000, { beatAgeMs: 90_000 });
  assert.deepEqual(stalled(first, seenAt(113_000, { beatAgeMs: 103_000, readerMs: 3000 })), ['unknown CONNECTOR_STALLED']);
  const slow = rhythmOf({ 'heartbeat.interval.ms': '20000' }, 60_000, true);
  assert.deepEqual(stalled(first, seenAt(113_000, { beatAgeMs: 103_000 }), slow), ['unknown CONNECTOR_STALLED']);
});

function suspicious(state: Partial<HeartbeatState>, config: Readonly<Record<string, string>>, published = true): boolean {
  return mayBeStalled(seenAt(100_000, state), rhythmOf({ 'heartbeat.interval.ms': '5000', ...config }, 60_000, published));
}

test('one look is reason for a second only past connect.guard.warnHeartbeatMs, three beats, and the time in which a worker stores positions', () => {
  assert.equal(suspicious({ beatAgeMs: 61_000 }, {}, false), true);
  assert.equal(suspicious({ beatAgeMs: 59_000 }, {}, false), false);
  assert.equal(suspicious({ beatAgeMs: 61_000 }, { 'heartbeat.interval.ms': '30000' }, false), false);
  assert.equal(suspicious({ beatAgeMs: 1e6 }, { 'heartbeat.interval.ms': '0' }), false, 'it has no heartbeat');
  assert.equal(suspicious({ beatAgeMs: null }, {}, false), false, 'nothing to be read');
  // The position of seenAt is 100 s old.
  assert.equal(suspicious({}, { 'exactly.once.support': 'required' }), true);
  assert.equal(suspicious({}, { 'exactly.once.support': 'required' }, false), false, 'a beat that is not published moves no position');
  assert.equal(suspicious({}, {}), false);
});

test('a connector that is halted, failed or reading its snapshot need not move', () => {
  assert.deepEqual(
    [
      connector('RUNNING', 1),
      connector('PAUSED', 1),
      connector('RUNNING', 1, 'FAILED'),
      connector('RUNNING'),
      { ...connector('RUNNING'), offsets: null },
    ].map(shouldMove),
    [true, false, false, false, true],
  );
});

test('Connect that reports all but the position is used, and the position called unknown', () => {
  const facts = { ...connector('RUNNING', undefined, 'FAILED'), offsets: null, offsetsProblem: 'no answer within 10 s' };
  const found = judgeConnect({ state: 'reachable', connectors: [facts], unreadable: [] }, [file]);
  assert.deepEqual(codes(found), ['error TASK_FAILED', 'unknown CONNECTOR_UNREADABLE']);
  assert.deepEqual(judged({}, { ...connector('RUNNING'), offsets: null }), []);
});

test('a pattern takes the tables that it matches, an entry of its own goes before it', () => {
  const names = ['orders', 'orders_old', 'customers'].map((table) => ({ schema: 'public', table }));
  const entries = [
    { table: 'public.orders', mode: 'timestamp' },
    { table: 'public.*', exclude: ['public.*_old'] },
  ].map((entry) => pollerTableSchema.parse(entry));
  assert.deepEqual(
    polledTables(entries, names).map(({ id, mode }) => `${id.table} ${mode}`),
    ['orders timestamp', 'customers timestamp+incrementing'],
  );
  assert.deepEqual(
    polledTables([pollerTableSchema.parse({ table: 'none.*' })], names).map(({ id }) => id.table),
    ['*'],
  );
});

test('tables that would share a topic are found on both sides, each with the other’s name', async () => {
  const tables = ['public.x y', 'public.x_y', 'cdc.heartbeat', 'a.b'].map((table) => pollerTableSchema.parse({ table }));
  const { poller } = pipelineSchema.parse({
    legacyDb: { database: 'd', roles: { poller: { user: 'u' } } },
    kafka: { brokers: 'none' },
    poller: { name: 'q', topicPrefix: 'q', tables: tables.map(({ table }) => ({ table })) },
  });
  const settings = { signal: new AbortController().signal, oldSeconds: 30, now: () => 0 };
  const { see } = attemptsOf({ strategy: 'query', role: 'r', server: 's', database: 'd' }, settings.signal);
  const polled = await examineTopics({ settings: poller, kafka: undefined }, polledTables(tables, []), settings, see, null);
  assert.deepEqual(polled.map(({ code, subject }) => `${code} ${subject.name}`).toSorted(), [
    'TOPIC_UNFIT cdc.heartbeat',
    'TOPIC_UNFIT public.x y',
    'TOPIC_UNFIT public.x_y',
  ]);
  assert.match(polled.map(({ cause }) => cause).join('\n'), /Table public\.x y would share topic q\.public\.x_y with table public\.x_y\./);
  // As the poller's start says it.
  assert.match(
    polled.find(({ subject }) => subject.name === 'public.x y')?.remedy ?? '',
    /^Give it a topic of its own .*"public\.x y", topic: … \}/,
  );
  const captured = judgeCapturedTopics([
    { name: 'c', config: { 'topic.prefix': 'log', 'table.include.list': 'public.x y,public.x_y,a.b' } },
  ]);
  assert.deepEqual(
    captured.map(({ code, subject }) => `${code} ${subject.name}`),
    ['TOPIC_UNFIT public.x y', 'TOPIC_UNFIT public.x_y'],
  );
});

test('what a start refuses is found in its own words, with its own remedy', () => {
  const error = new CdcError('KAFKA_AUTHENTICATION_FAILED', 'could not connect to Kafka: the broker refused the credentials');
  const found = refusalFinding('KAFKA_AUTHENTICATION_FAILED', error, 'query', { kind: 'setting', name: 'kafka.brokers' });
  assert.equal(found.cause, 'Could not connect to Kafka: the broker refused the credentials.');
  assert.equal(found.remedy, error.remedy);
  assert.equal(found.severity, 'error');
});
