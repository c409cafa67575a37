import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { inspect } from 'node:util';
import { CdcError, describeError, maskSecrets, maskUrls, parseConfig, type Environment } from '#pipeline/index.ts';

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

test('no URL shows a login, or a parameter that is secret, wherever it is in a text', () => {
  const shown: readonly (readonly [string, string])[] = [
    [`http://admin:${secret}@connect:8083/x`, 'http://admin:***@connect:8083/x'],
    [`a https://${secret}@host and http://u:${secret}@h:1/?a=1`, 'a https://***@host and http://u:***@h:1/?a=1'],
    [`http://u:p@${secret}@host/`, 'http://u:***@host/'],
    [`http://h/p?token=${secret}&x=1&access_token=${secret}#api-key=${secret}`, 'http://h/p?token=***&x=1&access_token=***#api-key=***'],
    [`http://h/?sig=${secret};%74oken=${secret}`, 'http://h/?sig=***;%74oken=***'],
    [`jdbc:postgresql://h/db?user=u&password=${secret}`, 'jdbc:postgresql://h/db?user=***&password=***'],
    ['http://h:8083/connectors?expand=info&monkey=1', 'http://h:8083/connectors?expand=info&monkey=1'],
    ['mail me@example.org, or a@b://c', 'mail me@example.org, or a@b://c'],
  ];
  for (const [text, expected] of shown) assert.equal(maskUrls(text), expected);
  const error = new CdcError('CONNECT_UNREACHABLE', `nobody at http://u:${secret}@h`, { remedy: `see http://h/?token=${secret}` });
  assert.ok(!everythingOf(error).includes(secret), everythingOf(error));
  assert.ok(!describeError(new TypeError(`Failed to parse URL from http://u:${secret}@h`)).includes(secret));
});

const polled = (more: string): string =>
  `legacyDb: { database: d, roles: { poller: { user: p, password: x } } }\nkafka: { brokers: a:1 }\npoller:\n  name: n\n${more}`;

test('mask: hash without a secret is refused, by table, column and line', () => {
  const tables = '  tables:\n    - table: public.customers\n      mask:\n        email: hash\n        phone: null\n';
  for (const maskSecret of ['', '  maskSecret: ""\n', '  maskSecret: "  "\n', '  maskSecret: ${NOT_SET:-}\n']) {
    const error = refusal(polled(maskSecret + tables.replace('phone: null', "phone: 'null'")));
    assert.ok(error instanceof CdcError);
    assert.match(error.message, /^f\.yaml:\d+: poller\.tables\[0\]\.mask\.email: hash of public\.customers needs poller\.maskSecret/);
  }
  assert.equal(refusal(polled(`  maskSecret: ${secret}\n${tables.replace('phone: null', "phone: 'null'")}`)), undefined);
});

test('the password of an example is refused wherever it is, each by name, and not said to be wrong where it is a name', () => {
  const yaml = `legacyDb:
  database: change-me
  roles:
    owner: { user: change-me, password: change-me }
    poller: { user: p, password: ChangeMe }
kafka: { brokers: a:1, sasl: { mechanism: plain, username: u, password: change_me } }
connect: { password: changeit }
readModel: { database: r, user: u, password: "\${P}", models: {} }
`;
  const error = refusal(yaml, { P: 'change-me' });
  assert.ok(error instanceof CdcError);
  assert.deepEqual(
    error.message.split('\n').map((line) => line.split(': ')[1]),
    ['legacyDb.roles.owner.password', 'legacyDb.roles.poller.password', 'kafka.sasl.password', 'connect.password', 'readModel.password'],
  );
});
