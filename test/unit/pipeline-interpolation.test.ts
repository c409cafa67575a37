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

const host = (value: string, environment: Record<string, string> = {}): string =>
  parseConfig(
    `legacyDb:\n  host: '${value}'\n  database: d\n  roles: { poller: { user: p } }\nkafka: { brokers: b:1 }\n`,
    'f.yaml',
    environment,
  ).legacyDb.host;

test('a default may refer to further variables, and they to theirs', () => {
  assert.equal(host('${A:-${B}}', { B: 'b' }), 'b');
  assert.equal(host('${A:-${B}}', { A: 'a' }), 'a');
  assert.equal(host('${A:-x${B:-${C:-c}-}y}${D:-z}'), 'xc-yz');
  assert.equal(host('${A:-${B:-b}}', { A: '${B}' }), '${B}');
  assert.equal(host('${A:-{}'), '{');
  assert.equal(host('a ${ b $ {c} $1 ${1}'), 'a ${ b $ {c} $1 ${1}');
  assert.throws(() => host('${A:-${B}}'), { code: 'CONFIG_ENV_MISSING', message: 'f.yaml:2: environment variable B is not set' });
});

test('a reference that cannot be read is one error with its line, and says what is expected', () => {
  for (const value of ['${A:-x', '${A:-${B:-x}', '${A-x}', '${A:?x}', '${A:=x}', '${A:+x}', '${A:-'.repeat(12) + '}'.repeat(12)]) {
    for (const environment of [{}, { A: 'a' }]) {
      if (value.startsWith('${A:-${A') && 'A' in environment) continue;
      assert.throws(() => host(value, environment), { code: 'CONFIG_SYNTAX', message: /^f\.yaml:2: / }, value);
    }
  }
});
