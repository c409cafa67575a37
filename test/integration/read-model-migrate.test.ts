import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { migrate, requireMigrated } from '#read-model/index.ts';
import { repositoryRoot } from '#test/support/house-repository.ts';
import { createReadDatabase, type ReadDatabase } from '#test/support/read-database.ts';

const folder = join(repositoryRoot, 'read-model/sql');
const files = (await readdir(folder)).toSorted();
const last = files.at(-1) ?? '';

async function applied(read: ReadDatabase): Promise<readonly (string | null | undefined)[]> {
  const rows = await read.query('SELECT name FROM model.knex_migrations ORDER BY id');
  return rows.map(({ name }) => name);
}

/** Puts the model into the state that the program of before knex's migrator left: its own list, with a hash a file. */
async function asOlder(read: ReadDatabase, known: readonly string[]): Promise<void> {
  await read.query(
    `DROP TABLE model.knex_migrations, model.knex_migrations_lock;
     CREATE TABLE model.schema_migrations (file text PRIMARY KEY, hash text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())`,
  );
  for (const file of known) {
    const hash = createHash('sha256')
      .update(await readFile(join(folder, file)))
      .digest('hex');
    await read.query('INSERT INTO model.schema_migrations (file, hash) VALUES ($1, $2)', [file, hash]);
  }
}

test('several at once apply every file once, in order, each model in a schema of its own; repeated, nothing', async () => {
  await using read = await createReadDatabase();
  const results = await Promise.all(['model', 'model', 'other'].map((schema) => migrate(read.owner, { schema })));
  assert.deepEqual(
    results.map(({ files: { length } }) => length).toSorted((a, b) => a - b),
    [0, files.length, files.length],
  );
  assert.deepEqual(await applied(read), files);
  assert.deepEqual((await migrate(read.owner, { schema: 'model' })).files, []);
});

test('a schema that an older program migrated goes on: nothing is applied twice, and what is missing is applied', async () => {
  await using read = await createReadDatabase();
  await migrate(read.owner, { schema: 'model' });
  await asOlder(read, files);
  assert.deepEqual((await migrate(read.owner, { schema: 'model' })).files, []);
  assert.deepEqual(await applied(read), files);
  const [left] = await read.query("SELECT to_regclass('model.schema_migrations') AS older");
  assert.equal(left?.['older'], null);
});

test('a file that was changed since it was applied is refused, also one that an older program applied', async () => {
  await using read = await createReadDatabase();
  await migrate(read.owner, { schema: 'model' });
  const refused = { name: 'CdcError', code: 'READ_MODEL_MIGRATION_CHANGED', message: new RegExp(last) };
  await read.query("UPDATE model.knex_migrations SET hash = 'another' WHERE name = $1", [last]);
  await assert.rejects(migrate(read.owner, { schema: 'model' }), refused);
  await asOlder(read, files);
  await read.query("UPDATE model.schema_migrations SET hash = 'another' WHERE file = $1", [last]);
  await assert.rejects(migrate(read.owner, { schema: 'model' }), refused);
});

test('a schema that a newer program made is refused, and left as it is', async () => {
  await using read = await createReadDatabase();
  await migrate(read.owner, { schema: 'model' });
  await read.query("INSERT INTO model.knex_migrations (name, batch, migration_time) VALUES ('999-later.sql', 2, now())");
  await assert.rejects(migrate(read.owner, { schema: 'model' }), { name: 'CdcError', code: 'READ_MODEL_NEWER' });
  await assert.rejects(requireMigrated(read.pool, 'model'), { code: 'READ_MODEL_NEWER', message: /it has 999-later\.sql/ });
  assert.deepEqual(await applied(read), [...files, '999-later.sql']);
});

test('a failure half-way leaves nothing behind', async () => {
  await using read = await createReadDatabase();
  // The last file meets a column that is there already.
  await migrate(read.owner, { schema: 'model' });
  await read.query('DELETE FROM model.knex_migrations WHERE name = $1', [last]);
  await assert.rejects(migrate(read.owner, { schema: 'model' }), /already exists/);
  assert.deepEqual(await applied(read), files.slice(0, -1));
});
