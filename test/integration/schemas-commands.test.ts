import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { runPoller } from '#cdc-poller/index.ts';
import { schemaCheckCommand } from '#cdc-poller/commands.ts';
import { schemasCommand } from '#change-events/commands.ts';
import { pipelineSchema, silentLogger } from '#pipeline/index.ts';
import { createLegacyDatabase } from '#test/support/legacy-database.ts';
import { deleteTopicsOf } from '#test/support/kafka.ts';
import { testRegistryConfig } from '#test/support/registry.ts';
import { testStack, uniqueName } from '#test/support/stack.ts';
import { terminal, type Outcome } from '#test/support/terminal.ts';

test('schemas check, list, show and types follow a table through what it does', async (t) => {
  const { kafka } = await testStack();
  await using database = await createLegacyDatabase({ empty: true });
  await database.query(`CREATE TABLE parcels (id bigint PRIMARY KEY, weight numeric(8,3) NOT NULL, note text, updated_at timestamptz NOT NULL DEFAULT now());
    INSERT INTO parcels VALUES (1, 2.5, 'fragile'); GRANT SELECT ON parcels TO cdc_poller`);
  const name = uniqueName('schemas');
  await using _ = { [Symbol.asyncDispose]: () => deleteTopicsOf(name) };
  const pipeline = {
    legacyDb: database.config,
    kafka: { brokers: kafka.brokers, partitions: 1, replicationFactor: 1 },
    schemaRegistry: await testRegistryConfig(),
    poller: { name, topicPrefix: name, format: 'avro', tables: [{ table: 'public.parcels' }] },
  };
  const cli = terminal((context) => schemasCommand(context).addCommand(schemaCheckCommand(context)), pipeline);
  const subject = `${name}.public.parcels-value`;
  const check = async (): Promise<Outcome & { readonly verdicts: readonly Verdict[] }> => {
    const outcome = await cli.run('check', '--json');
    return { ...outcome, verdicts: verdictsOf(outcome.printed) };
  };

  await t.test('what is not registered is new', async () => {
    const { exitCode, verdicts } = await check();
    assert.equal(exitCode, 0);
    assert.deepEqual(
      verdicts.map(({ subject: of, verdict }) => [of, verdict]),
      [
        [`${name}.public.parcels-key`, 'new'],
        [subject, 'new'],
      ],
    );
    assert.doesNotMatch((await cli.run('list')).printed, new RegExp(name), 'a check registers nothing');
  });

  await runPoller({ config: pipelineSchema.parse(pipeline), logger: silentLogger, signal: AbortSignal.timeout(60_000), once: true });

  await t.test('what the poller has registered is the same', async () => {
    const { verdicts } = await check();
    assert.deepEqual(
      verdicts.map(({ verdict, version }) => [verdict, version]),
      [
        ['same', 1],
        ['same', 1],
      ],
    );
  });

  await t.test('list and show have it', async () => {
    const rows: unknown = JSON.parse((await cli.run('list', '--json')).printed);
    assert.ok(Array.isArray(rows));
    const row: unknown = rows.find((each: { readonly subject: string }) => each.subject === subject);
    assert.ok(typeof row === 'object' && row !== null && 'id' in row);
    assert.deepEqual({ ...row, id: 0 }, { subject, type: 'AVRO', versions: [1], id: 0, compatibility: 'BACKWARD' });
    assert.match((await cli.run('show', subject)).printed, new RegExp(`${subject}, version 1, id ${String(row.id)}, AVRO\\n\\{\\n`));
    assert.equal((await cli.run('show', `${subject}@1`)).printed, (await cli.run('show', subject)).printed);
    await assert.rejects(cli.run('show', `${subject}@2`), { code: 'SUBJECT_UNKNOWN' });
  });

  await t.test('types are those of the table', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'cdc-schemas-'));
    t.after(() => rm(folder, { recursive: true, force: true }));
    const file = join(folder, 'parcels.ts');
    await cli.run('types', subject, `${name}.public.parcels-key`, '--out', file);
    const text = await readFile(file, 'utf8');
    assert.match(text, /export type ParcelsKey = \{\n  readonly id: Integer;\n\};/);
    const row = /export type Parcels = \{\n(?<members>[^}]*)\};/.exec(text)?.groups?.['members'] ?? '';
    assert.deepEqual(
      [...row.matchAll(/^ {2}readonly (?<member>.+);$/gm)].map((match) => match.groups?.['member']),
      ['id: Integer', 'weight: string', 'note: string | null', 'updated_at: string'],
    );
    assert.match(row, /NUMERIC\(8,3\)/);
    assert.match(text, /export type ParcelsEnvelope = \{\n  readonly before: Parcels \| null;\n  readonly after: Parcels \| null;/);
  });

  await t.test('a nullable column is compatible', async () => {
    await database.query('ALTER TABLE parcels ADD colour text');
    const { exitCode, verdicts } = await check();
    assert.equal(exitCode, 0);
    assert.equal(verdicts[1]?.verdict, 'compatible');
    assert.match(verdicts[1].differences.join(), /"colour" added/);
  });

  await t.test('a column of another type is not: exit code 2, with what differs and the registry’s words', async () => {
    await database.query('ALTER TABLE parcels ALTER weight TYPE bigint');
    const { exitCode, verdicts } = await check();
    assert.equal(exitCode, 2);
    assert.equal(verdicts[1]?.verdict, 'incompatible');
    assert.match(verdicts[1].differences.join(), /"weight"/);
    assert.notEqual(verdicts[1].reasons.join(), '');
    assert.match((await cli.run('check')).printed, /parcels-value: INCOMPATIBLE with version 1/);
  });

  await t.test('JSON without schemas has nothing to check', async () => {
    await assert.rejects(terminal(schemaCheckCommand, { ...pipeline, poller: { ...pipeline.poller, format: 'json' } }).run(), {
      code: 'CONFIG_INVALID',
    });
  });

  await t.test('a table that cannot be polled is named beside: exit code 1', async () => {
    const unfit = { ...pipeline, poller: { ...pipeline.poller, tables: [{ table: 'public.nosuch' }] } };
    const { exitCode, printed } = await terminal(schemaCheckCommand, unfit).run();
    assert.equal(exitCode, 1);
    assert.match(printed, /public\.nosuch: UNFIT/);
  });
});

type Verdict = {
  readonly subject: string;
  readonly verdict: string;
  readonly version: number | null;
  readonly differences: readonly string[];
  readonly reasons: readonly string[];
};

function verdictsOf(printed: string): readonly Verdict[] {
  const found: { readonly verdicts: readonly Verdict[] } = JSON.parse(printed);
  return found.verdicts;
}
