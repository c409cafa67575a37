import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { HouseRepository, repositoryRoot } from '#test/support/house-repository.ts';
import { lintFindings } from '#test/support/oxlint.ts';

/** Folder of test/fixtures/lint → what the real configuration must find in it, and nothing else. */
const expected: Readonly<Record<string, readonly string[]>> = {
  any: ['kafka/any.ts: typescript(no-explicit-any)'],
  cast: ['kafka/cast.ts: typescript(consistent-type-assertions)', 'kafka/cast.ts: typescript(no-unsafe-type-assertion)'],
  console: ['kafka/console.ts: eslint(no-console)'],
  cycle: ['kafka/cycle-a.ts: import(no-cycle)', 'kafka/cycle-b.ts: import(no-cycle)'],
  'cycle-by-alias': [
    'comparison/index.ts: import(no-cycle)',
    'stack/index.ts: eslint(no-restricted-imports)',
    'stack/index.ts: import(no-cycle)',
  ],
  'default-export': ['kafka/default-export.ts: import(no-default-export)'],
  'export-star': ['kafka/export-star.ts: oxc(no-barrel-file)'],
  'file-name': ['kafka/FileName.ts: unicorn(filename-case)'],
  'floating-promise': ['kafka/floating-promise.ts: typescript(no-floating-promises)'],
  'kafka-client-outside': [
    'cdc-poller/kafkajs-outside.ts: eslint(no-restricted-imports)',
    'read-model/platformatic-outside.ts: eslint(no-restricted-imports)',
  ],
  'misused-promise': ['kafka/misused-promise.ts: typescript(no-misused-promises)'],
  'missing-case': ['kafka/missing-case.ts: typescript(switch-exhaustiveness-check)'],
  'non-null': ['kafka/non-null.ts: typescript(no-non-null-assertion)'],
  'not-an-error': ['kafka/not-an-error.ts: typescript(only-throw-error)'],
  'type-import': ['kafka/type-import.ts: typescript(consistent-type-imports)'],
};

test('each house rule finds its fixture, and nothing else in it', async () => {
  using repository = new HouseRepository();
  for (const fixture of Object.keys(expected)) repository.overlay(fixture);
  const findings = await lintFindings(repository);
  assert.deepEqual(findings, Object.values(expected).flat().toSorted());
});

test('every lint fixture is expected to fail', () => {
  assert.deepEqual(readdirSync(join(repositoryRoot, 'test/fixtures/lint')).toSorted(), Object.keys(expected).toSorted());
});

const lines = (count: number): string => `${'// a line\n'.repeat(count - 1)}export const last = ${count};\n`;

test('a file of 400 lines passes, one of 401 does not', async () => {
  using repository = new HouseRepository();
  repository.write('kafka/long.ts', lines(400));
  repository.write('kafka/too-long.ts', lines(401));
  assert.deepEqual(await lintFindings(repository), ['kafka/too-long.ts: eslint(max-lines)']);
});

const outsideKafka = 'pipeline change-events legacy-db connectors cdc-poller doctor read-model stack comparison bench cli'.split(' ');

test('no folder but kafka/ and test/ may import a Kafka client, neither of the two', async () => {
  using repository = new HouseRepository();
  const wanted: string[] = [];
  for (const folder of [...outsideKafka, 'kafka']) {
    for (const [name, source] of [
      ['with-kafkajs', "import { Kafka } from 'kafkajs';\n\nexport const client = Kafka;\n"],
      ['with-platformatic', "import { Consumer } from '@platformatic/kafka';\n\nexport const client = Consumer;\n"],
    ] as const) {
      repository.write(`${folder}/${name}.ts`, source);
      if (folder !== 'kafka') wanted.push(`${folder}/${name}.ts: eslint(no-restricted-imports)`);
    }
  }
  assert.deepEqual(await lintFindings(repository), wanted.toSorted());
});
