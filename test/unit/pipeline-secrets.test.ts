import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { inspect } from 'node:util';
import { CdcError, maskSecrets, parseConfig, type Environment } from '#pipeline/index.ts';

const secret = 'hunter2';

/** What may be printed or logged of an error: itself with its stack, its properties and all its causes. */
function everythingOf(error: unknown): string {
  return inspect(error, { depth: 10 }) + (error instanceof CdcError ? error.remedy : '');
}

function refusal(yaml: string, environment: Environment = {}): unknown {
  try {
    parseConfig(yaml, 'f.yaml', environment);
  } catch (error) {
    return error;
  }
  return undefined;
}

const withPassword = (value: string): string =>
  `legacyDb:\n  database: d\n  roles:\n    poller:\n      user: p\n      password: ${value}\nkafka:\n  brokers: a:1\n`;

describe('a password that breaks the file is not in the error', () => {
  const broken = ['*', '@', '`', '%', '[', '{', '|', '| ', '> ', '- ', '? ', ': ', '"\\x', '"', "'", '!<', '&a &', '"a" "', 'a: b: '];
  for (const before of broken) {
    test(`${before}…`, () => {
      const error = refusal(withPassword(before + secret));
      assert.ok(error instanceof CdcError, 'was accepted, or was no CdcError');
      assert.ok(!everythingOf(error).includes(secret), everythingOf(error));
    });
  }
});

test('a secret of the environment in the wrong place is not in the error', () => {
  const environment = { SECRET: `${secret} not a valid anything` };
  const places = [
    'kafka: { brokers: a:1, whenUnavailable: "${SECRET}" }',
    'connect: { url: "${SECRET}" }',
    'poller: { name: "${SECRET}", tables: [] }',
  ];
  const least = 'legacyDb: { database: d, port: "${SECRET}", roles: { poller: { user: p } } }';
  const error = refusal([least, ...places].join('\n'), environment);
  assert.ok(error instanceof CdcError);
  assert.equal(error.message.split('\n').length >= 4, true, error.message);
  assert.ok(!everythingOf(error).includes(secret), everythingOf(error));
});

test('a masked configuration shows which secrets are set, and none of them', () => {
  const masked = maskSecrets({
    roles: [
      { user: 'u', password: secret },
      { user: 'v', password: '' },
    ],
    kafka: { sasl: { username: 'u', password: secret }, accessToken: secret, clientSecret: secret },
    connect: { url: `http://admin:${secret}@connect:8083/x`, plain: 'http://connect:8083' },
    port: 5432,
    nothing: null,
  });
  assert.deepEqual(masked, {
    roles: [
      { user: 'u', password: '***' },
      { user: 'v', password: '' },
    ],
    kafka: { sasl: { username: 'u', password: '***' }, accessToken: '***', clientSecret: '***' },
    connect: { url: 'http://admin:***@connect:8083/x', plain: 'http://connect:8083' },
    port: 5432,
    nothing: null,
  });
});
