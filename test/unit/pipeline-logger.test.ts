import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pino, type Logger } from 'pino';
import { logOptions } from '#pipeline/logger.ts';
import { CdcError } from '#pipeline/index.ts';

const secret = 'hunter2';

function errorWith(member: object): Error {
  return Object.assign(new Error('refused'), member);
}

function logged(write: (logger: Logger) => void, terminal = false): string {
  let text = '';
  write(pino(logOptions('test', 'info', { terminal }), { write: (line: string) => (text += line) }));
  return text;
}

test('no secret is logged, at whatever depth it is, in an error or bound to a child', () => {
  const names = ['password', 'secret', 'maskSecret', 'token', 'authorization', 'sasl'];
  for (const name of names) {
    const held = { [name]: secret };
    for (const object of [held, { a: held }, { a: { b: held } }, { err: errorWith(held) }, { err: errorWith({ config: held }) }]) {
      const line = logged((logger) => logger.info(object, 'm'));
      assert.ok(line.includes('***') && !line.includes(secret), line);
    }
    assert.ok(!logged((logger) => logger.child(held).info('m')).includes(secret), name);
    assert.ok(!logged((logger) => logger.child({ a: held }).info('m')).includes(secret), name);
  }
  assert.ok(!logged((logger) => logger.info({ sasl: { mechanism: 'plain', username: 'u', password: secret } })).includes(secret));
});

test('no URL that is logged shows its login or its token: in a message, an object, an error with its stack and causes', () => {
  const url = `http://u:${secret}@h/?token=${secret}`;
  const cause = new Error(`nobody at ${url}`);
  const error = new CdcError('CONNECT_UNREACHABLE', `nobody at ${url}`, { cause });
  for (const terminal of [false, true]) {
    for (const write of [
      (logger: Logger) => logger.info(`see ${url}`),
      (logger: Logger) => logger.info({ url, deep: { deeper: { list: [url] } } }),
      (logger: Logger) => logger.error({ err: error }, 'm'),
      (logger: Logger) => logger.error(cause),
    ]) {
      const text = logged(write, terminal);
      assert.ok(text.includes('u:***@h/?token=***') && !text.includes(secret), text);
    }
  }
});

test('a line is one line of JSON that says what was logged, without a character that a terminal obeys', () => {
  const data = 'a\u001b[2Jb\u009b1mc\u202ed\\u001b\\\\e"f\ng\th\u0008i';
  const line = logged((logger) => logger.info({ data }, data));
  assert.doesNotMatch(line.trimEnd(), /\p{Cc}|\u202e/u);
  const { data: read, msg }: { data: string; msg: string } = JSON.parse(line);
  assert.deepEqual([read, msg], [data, data]);
});

test('on a terminal the text that comes out of a line has none either, but for its own lines and tabs', () => {
  const line = logged((logger) => logger.info({ data: 'a\u001b[2Jb\u009b1mc\u202ed\\u001b\\\\e"f\ng\th\u0008i\r' }), true);
  const { data }: { data: string } = JSON.parse(line);
  assert.equal(data, String.raw`a\u001b[2Jb\u009b1mc\u202ed\u001b\\e"f` + '\ng\th\\bi\\r');
});
