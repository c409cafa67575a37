import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { suite, test } from 'node:test';
import { Client } from 'pg';
import { parseConfig, postgresClientConfig, silentLogger } from '#pipeline/index.ts';
import { startReadModel } from '#read-model/index.ts';
import { waitForLocks, whyNoH2 } from '#test/support/h2.ts';
import { startTestPoller } from '#test/support/poller.ts';
import { createReadDatabase, eventually } from '#test/support/read-database.ts';
import { readModelOf, terminal } from '#test/support/terminal.ts';
import { testStack, uniqueName } from '#test/support/stack.ts';

/** The first block of docs/h2.md in this language that holds these words. */
async function block(language: string, words: string): Promise<string> {
  const page = await readFile(new URL('../../docs/h2.md', import.meta.url), 'utf8');
  const blocks = [...page.matchAll(/```(?<language>\w+)\n(?<text>.*?)```/gs)].map(({ groups = {} }) => groups);
  const found = blocks.find((one) => one['language'] === language && one['text']?.includes(words) === true);
  return found?.['text'] ?? assert.fail(`docs/h2.md has no ${language} with ${words}`);
}

suite('docs/h2.md', { skip: (await whyNoH2()) ?? false }, () => {
  test('its SQL and YAML bring ORDER_TABLE from H2 into a read model, and keep it there', async () => {
    const { h2, environment } = await testStack();
    assert.ok(h2);
    await using read = await createReadDatabase();
    const name = uniqueName('h2lab');
    const yaml = (await block('yaml', 'dialect: h2')).replaceAll('h2-lab', name);
    const config = parseConfig(yaml, 'h2.yaml', { ...environment, READ_DB_NAME: read.name });
    const owner = new Client(postgresClientConfig({ host: h2.host, port: h2.port, database: 'legacy' }, h2.roles.owner, 'test'));
    await owner.connect();
    await owner.query(waitForLocks);
    await using resources = new AsyncDisposableStack();
    resources.defer(async () => {
      await owner.query('DROP TABLE IF EXISTS public."ORDER_TABLE"');
      await owner.end();
    });
    await owner.query(await block('sql', 'as legacy_owner'));
    await terminal(readModelOf, config, '/nowhere').run('migrate');
    resources.use(startTestPoller(config));
    resources.use(await startReadModel({ config, logger: silentLogger, signal: new AbortController().signal }));
    const becomes = (rows: readonly string[]): Promise<unknown> =>
      eventually(
        async () =>
          (await read.query('SELECT "ID", "CUSTOMER", "TOTAL" FROM h2_model."ORDER_TABLE" ORDER BY 1')).map((row) =>
            Object.values(row).join(' '),
          ),
        (found) => found.join() === rows.join(),
      );
    await becomes(['1 Zoë 19.90', '2 Max 5.00']);
    await owner.query(`UPDATE "ORDER_TABLE" SET "TOTAL" = 6.00, "UPDATED_AT" = current_timestamp(6) WHERE "ID" = 2`);
    await owner.query(`INSERT INTO "ORDER_TABLE" ("CUSTOMER", "TOTAL") VALUES ('Eva', 7.00)`);
    await becomes(['1 Zoë 19.90', '2 Max 6.00', '3 Eva 7.00']);
  });
});
