import assert from 'node:assert/strict';
import { test } from 'node:test';
import { errorCatalogue } from '#pipeline/errors.ts';
import { CdcError, describeError } from '#pipeline/index.ts';

test('an error carries code, exit code, cause and the remedy of the catalogue, unless it has a more particular one', () => {
  const cause = new Error('ECONNREFUSED');
  const error = new CdcError('KAFKA_UNREACHABLE', 'no broker at localhost:9092', { cause });
  assert.ok(error instanceof Error);
  assert.deepEqual(
    { name: error.name, code: error.code, exitCode: error.exitCode, message: error.message, remedy: error.remedy },
    {
      name: 'CdcError',
      code: 'KAFKA_UNREACHABLE',
      exitCode: 69,
      message: 'no broker at localhost:9092',
      remedy: errorCatalogue.KAFKA_UNREACHABLE.remedy,
    },
  );
  assert.equal(error.cause, cause);
  assert.equal(new CdcError('KAFKA_UNREACHABLE', 'x', { remedy: 'wait' }).remedy, 'wait');
  assert.equal('cause' in new CdcError('KAFKA_UNREACHABLE', 'x'), false);
});

test('neither what an error says nor its remedy shows the login of a URL', () => {
  const { message, remedy } = new CdcError('CONNECT_UNREACHABLE', 'at https://cdc:hunter2@host', {
    remedy: 'Ask https://cdc:hunter2@host/?token=t',
  });
  assert.deepEqual([message, remedy], ['at https://cdc:***@host', 'Ask https://cdc:***@host/?token=***']);
});

test('every entry of the catalogue is usable: sentences, and an exit code that shells and sysexits.h keep free', () => {
  for (const [code, { cause, remedy, exitCode }] of Object.entries(errorCatalogue)) {
    assert.match(code, /^[A-Z][A-Z0-9]*(_[A-Z0-9]+)*$/);
    assert.match(cause, /^[A-Z].*\.$/s, `${code}: cause`);
    assert.match(remedy, /^\S.*\.$/s, `${code}: remedy`);
    assert.ok(Number.isInteger(exitCode) && exitCode >= 64 && exitCode <= 78, `${code}: exit code ${exitCode}`);
  }
});

test('anything thrown has a text', () => {
  assert.equal(describeError(new Error('plain')), 'plain');
  assert.equal(describeError(new TypeError('')), 'TypeError');
  assert.equal(
    describeError(new AggregateError([new Error('::1 refused'), new Error('127.0.0.1 refused')])),
    '::1 refused; 127.0.0.1 refused',
  );
  for (const [thrown, text] of [
    ['a text', 'a text'],
    [undefined, 'undefined'],
    [null, 'null'],
    [7, '7'],
    [Symbol('s'), 'Symbol(s)'],
  ] as const) {
    assert.equal(describeError(thrown), text);
  }
  assert.equal(typeof describeError(Object.create(null)), 'string');
});
