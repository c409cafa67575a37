import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { CdcError, loadConfig, parseConfig, type Environment, tlsOptions } from '#pipeline/index.ts';
import { repositoryRoot } from '#test/support/house-repository.ts';

/** The least that is valid: 5 lines, so what a test adds starts in line 6. */
const least = `legacyDb:
  database: shop
  roles: { poller: { user: reader } }
kafka:
  brokers: one:9092, two:9092
`;

function parse(added: string, environment: Environment = {}) {
  return parseConfig(`${least}${added}`, 'pipeline.yaml', environment);
}

/** The error's code and its lines. */
function refusal(added: string, environment: Environment = {}): { readonly code: string; readonly problems: readonly string[] } {
  try {
    parse(added, environment);
  } catch (error) {
    assert.ok(error instanceof CdcError, String(error));
    return { code: error.code, problems: error.message.split('\n') };
  }
  return { code: 'accepted', problems: [] };
}

test('the least configuration gets its defaults, and brokers may be one text', () => {
  const config = parse('');
  assert.deepEqual(config.legacyDb, {
    host: 'localhost',
    port: 5432,
    database: 'shop',
    roles: { poller: { user: 'reader', password: '' } },
  });
  assert.deepEqual(config.kafka.brokers, ['one:9092', 'two:9092']);
  assert.equal(config.kafka.whenUnavailable, 'wait');
});

test('the pipeline.yaml of the repository is valid with nothing set in the environment', async () => {
  const config = await loadConfig(join(repositoryRoot, 'pipeline.yaml'), {});
  assert.equal(config.poller?.tables.length, 4);
});

test('an error names file, line, path and what was expected', () => {
  assert.deepEqual(refusal('poller:\n  name: orders\n  tables:\n    - table: public.a\n      pollIntervalMs: soon\n'), {
    code: 'CONFIG_INVALID',
    problems: ['pipeline.yaml:10: poller.tables[0].pollIntervalMs: expected a whole number from 1'],
  });
});

test('all problems are reported at once, each with its own line', () => {
  const { problems } = refusal(
    'poller:\n  tables:\n    - table: orders\n    - { table: public.a, mode: guess }\n  colour: red\n  size: 3\n',
  );
  assert.deepEqual(problems.toSorted(), [
    'pipeline.yaml:10: poller.colour: unknown setting',
    'pipeline.yaml:11: poller.size: unknown setting',
    'pipeline.yaml:6: poller.name: expected string, which is missing',
    'pipeline.yaml:8: poller.tables[0].table: expected schema.table',
    'pipeline.yaml:9: poller.tables[1].mode: Invalid option: expected one of "timestamp+incrementing"|"timestamp"|"incrementing"|"bulk"',
  ]);
});

test('a missing section is reported at its parent, an unknown one at itself', () => {
  assert.deepEqual(refusal('pollr: { name: x }\n').problems, ['pipeline.yaml:6: pollr: unknown setting']);
  assert.throws(() => parseConfig('kafka: { brokers: a:1 }\n', 'f.yaml', {}), {
    message: 'f.yaml:1: legacyDb: expected object, which is missing',
  });
  assert.throws(() => parseConfig('', 'f.yaml', {}), { code: 'CONFIG_INVALID', message: /^f\.yaml:1: \(top level\): expected object/ });
});

const withMargin = (value: string): string => `poller: { name: p, tables: [{ table: public.a }], clockMarginMs: ${value} }\n`;

test('a number may be the text of one, and nothing else: neither empty nor true nor a fraction', () => {
  assert.equal(parse(withMargin('"250"')).poller?.clockMarginMs, 250);
  for (const value of ['', 'true', '1.5', '-1', '"1e3"', '0x10 x', '[]', '""']) {
    assert.equal(refusal(withMargin(value)).problems.length, 1, value);
  }
});

const twoThreads = (settings: string): string => `poller:\n  name: p\n  threads: 2\n${settings}  tables: [{ table: public.a }]\n`;

test('threads are refused with what each of them would keep to by itself, setting by setting', () => {
  assert.equal(refusal(twoThreads('')).code, 'accepted');
  assert.equal(refusal(twoThreads('  sharing: takeover\n').replace('threads: 2', 'threads: 1')).code, 'accepted');
  for (const [settings, expected] of [
    ['  sharing: takeover\n', /poller\.threads: .*set sharing to group/],
    ['  connections: 4\n', /poller\.threads: connections is a limit for one thread/],
    ['  maxRowsPerSecond: 100\n', /poller\.threads: maxRowsPerSecond is a limit for one thread/],
    ['  dutyCycle: 0.5\n', /poller\.threads: dutyCycle is a limit for one thread/],
  ] as const) {
    const { code, problems } = refusal(twoThreads(settings));
    assert.equal(code, 'CONFIG_INVALID');
    assert.match(problems.join('\n'), expected);
  }
});

test('a value of an alternative is judged by the alternative that got furthest', () => {
  assert.throws(() => parseConfig(least.replace('one:9092, two:9092', '7'), 'f.yaml', {}), { message: /^f\.yaml:5: kafka\.brokers: / });
});

test('text that is not YAML is refused with its line, once', () => {
  assert.deepEqual(refusal('poller: [1\n'), {
    code: 'CONFIG_SYNTAX',
    problems: ['pipeline.yaml:7: Flow sequence in block collection must be sufficiently indented and end with a ]'],
  });
  assert.deepEqual(refusal('poller: *other\n').problems, [
    'pipeline.yaml:6: an alias whose anchor does not exist; quote a text that starts with *',
  ]);
});

test('a file that is not there is named', async () => {
  await assert.rejects(loadConfig('/nowhere/pipeline.yaml', {}), {
    code: 'CONFIG_NOT_FOUND',
    exitCode: 78,
    message: /^\/nowhere\/pipeline\.yaml: /,
  });
});

test('a TLS file that cannot be read is an error of the configuration that names it, before anybody is asked', () => {
  for (const setting of ['caFile', 'certFile', 'keyFile']) {
    assert.throws(() => tlsOptions({ rejectUnauthorized: true, [setting]: '/no/such.pem' }), {
      code: 'CONFIG_INVALID',
      message: new RegExp(`tls\\.${setting}: ENOENT.*/no/such\\.pem`),
    });
  }
});

test('aliases that multiply, that hold themselves, or depth without end: one error with its line', () => {
  const bomb = [
    'a0: &a0 [x, x, x, x, x, x, x, x, x, x]',
    ...Array.from({ length: 9 }, (_, n) => `a${n + 1}: &a${n + 1} [${Array.from({ length: 10 }, () => `*a${n}`).join(', ')}]`),
  ];
  for (const [text, expected] of [
    [bomb.join('\n'), /^f\.yaml:10: aliases of aliases expand to more than 10000 values$/],
    ['legacyDb: &a\n  - *a\n', /^f\.yaml:2: an alias inside the value that it refers to$/],
    ['['.repeat(20_000), /^f\.yaml:1: /],
    [`legacyDb: ${'['.repeat(3000)}${']'.repeat(3000)}`, /^f\.yaml:1: /],
  ] as const) {
    assert.throws(
      () => parseConfig(text, 'f.yaml', {}),
      (error) => error instanceof CdcError && expected.test(error.message.split('\n')[0] ?? ''),
      text.slice(0, 40),
    );
  }
});

test('a mask holds for whatever columns are called, also as every object has members', () => {
  const names = ['__proto__', 'constructor', 'toString', 'valueOf', 'hasOwnProperty', '__defineGetter__'];
  const written = names.map((name) => `        ${name}: { fixed: hidden }`).join('\n');
  const config = parse(`poller:\n  name: p\n  tables:\n    - table: public.odd\n      mask:\n${written}\n`);
  const mask = config.poller?.tables[0]?.mask ?? {};
  assert.deepEqual(
    Object.entries(mask),
    names.map((name) => [name, { fixed: 'hidden' }]),
  );
  const unset = refusal('poller:\n  name: p\n  tables: [{ table: public.odd, mask: { __proto__: hash } }]\n');
  assert.match(unset.problems.join(), /__proto__: hash of public\.odd needs poller\.maskSecret/);
});

test('one mask for hundreds of tables, by an alias, is no bomb', () => {
  const tables = Array.from(
    { length: 150 },
    (_, n) => `    - { table: public.t${n}, mask: ${n === 0 ? "&mask { phone: 'null' }" : '*mask'} }`,
  );
  const config = parseConfig(
    `legacyDb: { database: d, roles: { poller: { user: p } } }\nkafka: { brokers: a:1 }\npoller:\n  name: n\n  tables:\n${tables.join('\n')}\n`,
    'f.yaml',
    {},
  );
  assert.deepEqual(config.poller?.tables[149]?.mask, { phone: 'null' });
});
