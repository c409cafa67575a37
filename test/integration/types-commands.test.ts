import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { readConnectorFile } from '#connectors/index.ts';
import { createLegacyDatabase } from '#test/support/legacy-database.ts';
import { testStack, uniqueName } from '#test/support/stack.ts';
import { terminal } from '#test/support/terminal.ts';
import { typesCommand } from '#types/index.ts';

test('cdc types writes a file, and --check finds it stale when the table changes; what has no types is named', async (t) => {
  const { kafka } = await testStack();
  await using database = await createLegacyDatabase({ empty: true });
  await database.query(`CREATE TABLE parcels (id bigint PRIMARY KEY, note text, updated_at timestamptz NOT NULL DEFAULT now());
    CREATE TABLE unfit (note text); GRANT SELECT ON parcels, unfit TO cdc_poller`);
  const folder = await mkdtemp(join(tmpdir(), 'cdc-types-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const name = uniqueName('types');
  const poller = { name, topicPrefix: name, tables: [{ table: 'public.parcels' }] };
  const pipeline = { legacyDb: database.config, kafka: { brokers: kafka.brokers }, poller };
  const shipped = await readConnectorFile(join(import.meta.dirname, '..', '..', 'connectors', 'legacy-orders.json'));
  const connector = async (settings: Readonly<Record<string, string>>): Promise<string> => {
    const file = join(folder, `${uniqueName('connector')}.json`);
    const config = { ...shipped.config, 'topic.prefix': `${name}_log`, 'table.include.list': 'public.parcels', ...settings };
    await writeFile(file, JSON.stringify({ name: shipped.name, config }));
    return file;
  };
  const both = async (settings: Readonly<Record<string, string>> = {}): Promise<object> => ({
    ...pipeline,
    connect: { url: 'http://127.0.0.1:1', topicPrefix: `${name}_log`, connectors: [await connector(settings)] },
  });
  const file = join(folder, 'types.ts');
  const cli = terminal(typesCommand, pipeline);

  await t.test('a file that is not there is stale; once written it is up to date', async () => {
    const missing = await cli.run('--out', file, '--check');
    assert.equal(missing.exitCode, 2);
    assert.match(missing.printed, /types\.ts does not exist/);
    assert.equal((await cli.run('--out', file)).exitCode, 0);
    const text = await readFile(file, 'utf8');
    assert.match(text, /export type ParcelsRow = \{\n {2}\/\*\* INT8 \*\/\n {2}readonly id: Integer;/);
    assert.equal((await cli.run()).printed, text.trimEnd());
    const fresh = await cli.run('--out', file, '--check');
    assert.deepEqual([fresh.exitCode, fresh.printed], [0, `${file}: up to date, types of 1 table`]);
  });

  await t.test('a changed table makes it stale: exit code 2 and the difference, and nothing is written', async () => {
    const before = await readFile(file, 'utf8');
    await database.query('ALTER TABLE parcels ADD weight numeric(8,3)');
    const { exitCode, printed } = await cli.run('--out', file, '--check');
    assert.equal(exitCode, 2);
    assert.match(printed, /^\+ {3}readonly weight: string \| null;$/m);
    assert.doesNotMatch(printed, /^- /m);
    assert.equal(await readFile(file, 'utf8'), before);
  });

  await t.test('--check without a file is a usage error', async () => {
    await assert.rejects(cli.run('--check'), /--check.*needs.*--out/);
  });

  await t.test('a table that is not captured is refused by name', async () => {
    await assert.rejects(cli.run('public.nosuch'), { code: 'TABLE_NOT_CAPTURED', message: /public\.nosuch.*public\.parcels/ });
  });

  await t.test('a configured table that the poller refuses is named: exit code 1, the others have types', async () => {
    const more = { ...pipeline, poller: { ...poller, tables: [...poller.tables, { table: 'public.unfit' }] } };
    const { exitCode, progress, printed } = await terminal(typesCommand, more).run();
    assert.equal(exitCode, 1);
    assert.match(progress, /no types of public\.unfit: /);
    assert.match(printed, /ParcelsRow/);
    await assert.rejects(terminal(typesCommand, more).run('public.unfit'), { code: 'TABLE_NOT_CAPTURED', message: /has no types/ });
  });

  await t.test('one that a pattern matches is named, and that is all', async () => {
    const pattern = { ...pipeline, poller: { ...poller, tables: [{ table: 'public.*' }] } };
    const { exitCode, progress } = await terminal(typesCommand, pattern).run();
    assert.equal(exitCode, 0);
    assert.match(progress, /no types of public\.unfit: /);
  });

  await t.test('captured both ways: the strategy has to be named', async () => {
    const cli2 = terminal(typesCommand, await both());
    await assert.rejects(cli2.run(), { code: 'CONFIG_INVALID', remedy: /--strategy/ });
    assert.match((await cli2.run('--strategy', 'query')).printed, new RegExp(`topic ${name}\\.public\\.parcels`));
    assert.match((await cli2.run('--strategy', 'log')).printed, new RegExp(`topic ${name}_log\\.public\\.parcels`));
  });

  await t.test('columns that the connector leaves out or does not take in are absent', async () => {
    const left = await both({ 'column.exclude.list': String.raw`public\.parcels\.note` });
    assert.doesNotMatch((await terminal(typesCommand, left).run('--strategy', 'log')).printed, /readonly note/);
    const taken = await both({ 'column.include.list': String.raw`public\.parcels\.(id|note)` });
    const { printed } = await terminal(typesCommand, taken).run('--strategy', 'log');
    assert.match(printed, /readonly note: string \| null/);
    assert.doesNotMatch(printed, /readonly weight/);
  });

  await t.test('a connector whose settings give values other forms has no types from the catalogue', async () => {
    const other = await both({ 'decimal.handling.mode': 'double' });
    await assert.rejects(terminal(typesCommand, other).run('--strategy', 'log'), {
      code: 'TYPES_UNCERTAIN',
      message: /decimal\.handling\.mode is double and should be string/,
    });
  });

  await t.test('a registry that does not answer takes no types away, and is named; with --from registry it is the error', async () => {
    const avro = {
      ...pipeline,
      poller: { ...poller, format: 'avro' },
      schemaRegistry: { url: 'http://127.0.0.1:1', requestTimeoutMs: 500 },
    };
    const { exitCode, progress, printed } = await terminal(typesCommand, avro).run();
    assert.equal(exitCode, 0);
    assert.match(progress, /not compared with the registry: REGISTRY_UNREACHABLE/);
    assert.match(printed, /ParcelsRow/);
    await assert.rejects(terminal(typesCommand, avro).run('--from', 'registry'), { code: 'REGISTRY_UNREACHABLE' });
    await assert.rejects(cli.run('--from', 'registry'), { code: 'CONFIG_INVALID', message: /schemaRegistry/ });
  });
});
