import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatStatus, shortTrace, snapshotState, summarizeStatus } from '#connectors/index.ts';

const trace = `org.apache.kafka.connect.errors.ConnectException: An exception occurred in the change event producer. This connector will be stopped.
\tat io.debezium.pipeline.ErrorHandler.setProducerThrowable(ErrorHandler.java:67)
\tat java.base/java.lang.Thread.run(Thread.java:840)
Caused by: io.debezium.DebeziumException: Couldn't obtain encoding for database legacy
\tat io.debezium.connector.postgresql.connection.PostgresConnection.getDatabaseCharset(PostgresConnection.java:483)
\t... 5 more
Caused by: org.postgresql.util.PSQLException: ERROR: publication "cdc_publication" does not exist
  Where: slot "cdc_slot", output plugin "pgoutput"
\tat org.postgresql.core.v3.QueryExecutorImpl.receiveErrorResponse(QueryExecutorImpl.java:2725)
\t... 11 more
`;

test('a trace becomes its deepest cause in one line, continuation lines included, frames not', () => {
  assert.equal(
    shortTrace(trace),
    'ERROR: publication "cdc_publication" does not exist Where: slot "cdc_slot", output plugin "pgoutput" (PSQLException)',
  );
});

test('a deepest cause that says nothing gives way to its wrapper', () => {
  const text = 'a.b.Wrapper: could not connect\n\tat x.Y.z(Y.java:1)\nCaused by: java.lang.NullPointerException\n\tat x.Y.z(Y.java:1)';
  assert.equal(shortTrace(text), 'could not connect (Wrapper)');
});

test('a trace without cause, and a text that is no trace, are shown as they are', () => {
  assert.equal(shortTrace('java.lang.OutOfMemoryError\n\tat a.B.c(B.java)'), 'OutOfMemoryError');
  assert.equal(shortTrace('  worker lost\n'), 'worker lost');
  assert.ok(shortTrace(`a.b.C: ${'x'.repeat(2000)}`).length < 420);
});

const part = (state: string, trace_?: string) => ({ state, worker_id: 'w:8083', ...(trace_ === undefined ? {} : { trace: trace_ }) });
const status = (connector: string, tasks: readonly [string, string?][]) => ({
  name: 'orders',
  connector: part(connector),
  tasks: tasks.map(([state, trace_], id) => ({ id, ...part(state, trace_) })),
});

test('a RUNNING connector with a FAILED task has failed, and says why', () => {
  const summary = summarizeStatus(status('RUNNING', [['RUNNING'], ['FAILED', trace]]));
  assert.equal(summary.health, 'failed');
  assert.match(summary.cause ?? '', /publication "cdc_publication" does not exist/);
  assert.equal(formatStatus(summary).split('\n')[0], 'orders: RUNNING, 1 of 2 tasks RUNNING');
  assert.match(formatStatus(summary), /\n  task 1 FAILED: ERROR: publication/);
});

test('a RUNNING connector without tasks does not run yet', () => {
  assert.equal(summarizeStatus(status('RUNNING', [])).health, 'pending');
  assert.equal(summarizeStatus(status('RUNNING', [['RUNNING'], ['UNASSIGNED']])).health, 'pending');
  assert.equal(summarizeStatus(status('RUNNING', [['RUNNING']])).health, 'running');
  assert.equal(summarizeStatus(status('STOPPED', [])).health, 'halted');
  assert.equal(summarizeStatus(status('PAUSED', [['PAUSED']])).health, 'halted');
  assert.equal(summarizeStatus(status('FAILED', [])).health, 'failed');
});

const offsets = (offset: Record<string, unknown>) => [{ partition: { server: 'log' }, offset }];

test('offsets show snapshot or streaming', () => {
  assert.equal(snapshotState([]), 'none');
  assert.equal(snapshotState(offsets({})), 'none');
  assert.equal(snapshotState(offsets({ snapshot: 'INITIAL', lsn: 1, snapshot_completed: false })), 'snapshot');
  assert.equal(snapshotState(offsets({ lsn: 1, lsn_commit: 1 })), 'streaming');
});
