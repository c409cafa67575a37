import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseConfig } from '#pipeline/index.ts';

const text = `legacyDb:
  host: \${DB_HOST:-db.internal}
  port: \${DB_PORT:-5432}
  database: shop_\${STAGE}
  roles: { poller: { user: reader, password: "\${PASSWORD:-}" } }
kafka:
  brokers: \${BROKERS}
`;

function legacyDb(environment: Record<string, string>) {
  return parseConfig(text, 'f.yaml', { STAGE: 'test', BROKERS: 'b:1', ...environment }).legacyDb;
}

test('a variable replaces its reference, also inside a text; an unset or empty one takes the default', () => {
  assert.equal(legacyDb({ DB_HOST: 'here' }).host, 'here');
  assert.equal(legacyDb({}).host, 'db.internal');
  assert.equal(legacyDb({ DB_HOST: '' }).host, 'db.internal');
  assert.equal(legacyDb({}).database, 'shop_test');
  assert.equal(legacyDb({}).roles.poller.password, '');
});

test('a number comes out of the environment as a number, and is judged as one', () => {
  assert.equal(legacyDb({ DB_PORT: '6543' }).port, 6543);
  assert.throws(() => legacyDb({ DB_PORT: 'many' }), { message: 'f.yaml:3: legacyDb.port: expected a whole number from 1 to 65535' });
});

test('what a variable holds is never read as YAML nor interpolated again', () => {
  for (const password of ['# no comment', '"', '${STAGE}', '*alias', 'a: b', '{', '\n- x', "'", '$&', '$1']) {
    assert.equal(legacyDb({ PASSWORD: password }).roles.poller.password, password);
  }
});

test('every variable that is missing is named with its line, in one error', () => {
  assert.throws(() => parseConfig(text, 'f.yaml', {}), {
    code: 'CONFIG_ENV_MISSING',
    message: 'f.yaml:4: environment variable STAGE is not set\nf.yaml:7: environment variable BROKERS is not set',
  });
});

test('a reference in a comment or a key is left alone', () => {
  assert.equal(parseConfig(`# \${NOT_SET}\n${text}`, 'f.yaml', { STAGE: 'x', BROKERS: 'b:1' }).legacyDb.database, 'shop_x');
});
