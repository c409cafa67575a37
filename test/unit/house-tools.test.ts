import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { HouseRepository } from '#test/support/house-repository.ts';

describe('each part of npm run check can fail', { concurrency: true }, () => {
  test('types: strict, erasable syntax only, no unchecked index', async () => {
    using repository = new HouseRepository();
    repository.write(
      'kafka/broken.ts',
      [
        'export const text: string = 1;',
        'export enum Colour { Red }',
        'export const first: string = [""][0];',
        'export const home = process.env.HOME;',
        '',
      ].join('\n'),
    );
    const { exitCode, output } = await repository.run('tsc', '--noEmit', '--pretty', 'false');
    assert.notEqual(exitCode, 0);
    const found = [...output.matchAll(/^kafka\/broken\.ts\((?<line>\d+),\d+\): error (?<code>TS\d+)/gm)].map(
      ([, line, code]) => `${line} ${code}`,
    );
    assert.deepEqual(found.toSorted(), ['1 TS2322', '2 TS1294', '3 TS2322', '4 TS4111']);
  });

  test('format', async () => {
    using repository = new HouseRepository();
    repository.write('kafka/tidy.ts', "export const tidy = 'yes';\n");
    repository.write('kafka/untidy.ts', 'export const untidy   = "no"\n');
    const { exitCode, output } = await repository.run('oxfmt', '--check');
    assert.notEqual(exitCode, 0);
    assert.match(output, /kafka\/untidy\.ts/);
    assert.doesNotMatch(output, /kafka\/tidy\.ts/);
  });

  test('unused: a file nobody imports, an export nobody takes, a dependency nobody uses or declares', async () => {
    using repository = new HouseRepository();
    repository.write('cli.ts', "import { used } from '#kafka/used.ts';\nimport 'no-such-package';\n\nused();\n");
    repository.write('kafka/used.ts', 'export function used(): void {}\nexport function spare(): void {}\n');
    repository.write('kafka/forgotten.ts', 'export const forgotten = 1;\n');
    const { exitCode, output } = await repository.run('knip', '--reporter', 'compact', '--no-progress');
    assert.notEqual(exitCode, 0);
    for (const finding of [/forgotten\.ts/, /kafka\/used\.ts: spare/, /no-such-package/, /zod/]) assert.match(output, finding);
    assert.doesNotMatch(output, /kafka\/used\.ts: used/);
  });
});
