import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Client } from 'pg';
import {
  applyConnector,
  undoSource,
  waitForStreaming,
  type ConnectorConfig,
  type ConnectorFile,
  type SourceChange,
} from '#connectors/index.ts';
import { prepareEach } from '#connectors/postgres/prepare-source.ts';
import type { Finding } from '#doctor/finding.ts';
import { removeConnector, removeTopics, testConnect } from '#test/support/connect.ts';
import { startDoctorBench, type DoctorBench, type DoctorDatabase } from '#test/support/doctor.ts';
import { waysOf } from '#test/support/remedies.ts';
import { sourceRows, streamedRows } from '#test/support/streamed-rows.ts';
import { zooFor, zooSql, type ZooTable } from '#test/support/table-zoo.ts';

/** Kinds that prepare leaves as they are, by Postgres' version. */
const refusedKinds: Readonly<Record<15 | 18, readonly string[]>> = {
  15: ['generated key', 'identity index gone', 'identity nothing', 'inherited', 'materialised', 'partitioned no key', 'unlogged', 'a view'],
  18: [
    'identity full virtual',
    'identity index gone',
    'identity nothing',
    'inherited',
    'materialised',
    'partitioned no key',
    'unlogged',
    'virtual no key',
    'a view',
  ],
};

for (const version of [15, 18] as const) {
  describe(`Postgres ${version}`, () => {
    let bench: DoctorBench;
    let round = 0;
    const zoo = zooFor(version);

    before(async () => {
      bench = await startDoctorBench(version === 15 ? 15 : undefined);
    });
    after(async () => {
      await bench[Symbol.asyncDispose]();
    });

    async function database(tables = zoo): Promise<DoctorDatabase> {
      const db = await bench.database();
      await as(db, 'owner', zooSql(tables, db.login('application').user ?? ''));
      return db;
    }

    /** Every statement of the application, on every table: those that it cannot write. */
    async function broken(db: DoctorDatabase, tables: readonly ZooTable[] = zoo): Promise<readonly string[]> {
      const failed: string[] = [];
      const client = new Client(db.login('application'));
      await client.connect();
      try {
        for (const { kind, statements, truncate } of tables) {
          round += 2;
          const all = [...statements(round), truncate, ...statements(round + 1)].filter((sql) => sql !== '');
          await client.query(all.join(';\n')).catch((error: unknown) => failed.push(`${kind}: ${String(error)}`));
        }
      } finally {
        await client.end();
      }
      return failed;
    }

    async function write(db: DoctorDatabase, tables: readonly ZooTable[] = zoo): Promise<void> {
      assert.deepEqual(await broken(db, tables), []);
    }

    const prepare = (db: DoctorDatabase, tables = zoo): Promise<readonly SourceChange[]> =>
      prepareEach(db.login('owner'), request(db, tables));

    test('every kind of table is prepared or refused by name, and the application writes all of them as before, also when it is undone', async () => {
      await using db = await database();
      await write(db);
      const untouched = await state(db);
      const changes = await prepare(db);
      await write(db);
      const refused = changes.filter(({ action }) => action === 'refused');
      assert.deepEqual(refused.map(kindOf).toSorted(), refusedKinds[version].toSorted(), JSON.stringify(refused, null, 1));
      for (const { object, reason = '', remedy = '' } of refused) assert.ok(reason !== '' && remedy !== '', object);
      assert.deepEqual((await prepare(db)).filter(isMade), [], 'a second run finds nothing to do');

      await using byHand = await database();
      for (const { statement } of changes) if (statement !== undefined) await as(byHand, 'owner', statement);
      assert.deepEqual(await state(byHand), await state(db), 'what it printed is what it did');

      await undoSource(db.login('owner'));
      await write(db);
      assert.deepEqual(await state(db), untouched);
    });

    test('what is missing since is done by the next run, and the publication that was there gets its options back', async () => {
      const tables = zoo.filter(({ kind }) => ['plain', 'partitioned', 'generated stored', 'no key'].includes(kind));
      await using db = await database(tables);
      await as(db, 'owner', 'CREATE PUBLICATION cdc_publication FOR TABLE zoo.plain, zoo.partitioned');
      const untouched = await state(db);
      const statements = (await prepare(db, tables)).map(({ statement }) => statement);
      assert.ok(statements.includes('ALTER PUBLICATION cdc_publication SET (publish_via_partition_root = true)'), statements.join('\n'));
      assert.equal(statements.includes('ALTER PUBLICATION cdc_publication SET (publish_generated_columns = stored)'), version >= 18);
      await as(
        db,
        'owner',
        `CREATE TABLE zoo.partitioned_2032 PARTITION OF zoo.partitioned FOR VALUES FROM ('2032-01-01') TO ('2033-01-01');
         ALTER PUBLICATION cdc_publication SET (publish_via_partition_root = false)`,
      );
      await as(
        db,
        'application',
        `INSERT INTO zoo.partitioned (id, paid_at) VALUES (1, '2032-02-02'), (2, '2032-02-02'); UPDATE zoo.partitioned SET value = 7;
         DELETE FROM zoo.partitioned WHERE id = 2`,
      );
      assert.deepEqual(
        (await prepare(db, tables)).filter(isMade).map(({ statement }) => statement),
        [
          'ALTER PUBLICATION cdc_publication SET (publish_via_partition_root = true)',
          'ALTER TABLE zoo.partitioned_2032 REPLICA IDENTITY FULL',
        ],
      );
      await as(db, 'owner', 'CREATE PUBLICATION later FOR TABLE zoo.no_key');
      const needed = ['replica identity of table zoo.no_key', 'schema cdc'];
      assert.deepEqual(await leftBy(db), needed, 'an identity that another publication has come to need stays, with its note');
      await as(db, 'owner', 'DROP PUBLICATION later; DROP TABLE zoo.partitioned_2032');
      assert.deepEqual(await leftBy(db), []);
      await write(db, tables);
      assert.deepEqual(await state(db), untouched);
    });

    test('undone, everything is as it was: the comment on a schema cdc that was there, an identity that somebody has set since, tables that others have published since', async () => {
      const tables = zoo.filter(({ kind }) => ['plain', 'no key', 'parent', 'unique but nullable'].includes(kind));
      await using db = await database(tables);
      await as(db, 'owner', `CREATE SCHEMA cdc; COMMENT ON SCHEMA cdc IS 'Ours, since 2011: don''t touch'; CREATE TABLE cdc.mine (id int)`);
      const untouched = await state(db);
      await prepare(db, tables);
      await as(
        db,
        'owner',
        `ALTER PUBLICATION cdc_publication ADD TABLE cdc.mine; CREATE UNIQUE INDEX by_id ON zoo.parent (id);
         ALTER TABLE zoo.parent REPLICA IDENTITY USING INDEX by_id`,
      );
      assert.deepEqual(await leftBy(db), ['publication cdc_publication']);
      await write(db, tables);
      await as(db, 'owner', 'ALTER PUBLICATION cdc_publication DROP TABLE cdc.mine');
      assert.deepEqual(await leftBy(db), []);
      const identity = `SELECT indexrelid::regclass AS name FROM pg_index WHERE indisreplident`;
      assert.deepEqual(await db.run(identity), [{ name: 'zoo.by_id' }]);
      await as(db, 'owner', 'ALTER TABLE zoo.parent REPLICA IDENTITY DEFAULT; DROP INDEX zoo.by_id');
      assert.deepEqual(await state(db), untouched);
    });

    test('undo leaves an option of a publication without which statements of the application would fail, and notes that nobody can read are refused', async () => {
      const tables = zoo.filter(({ kind }) => ['plain', 'generated stored', 'generated no key'].includes(kind));
      await using db = await database(tables);
      await as(db, 'owner', 'CREATE PUBLICATION cdc_publication FOR TABLE zoo.generated_no_key');
      await prepare(db, tables);
      await write(db, tables);
      const expected = ['replica identity of table zoo.generated_no_key', 'schema cdc'];
      if (version >= 18) expected.push('publication cdc_publication: publish_generated_columns back to none');
      assert.deepEqual((await leftBy(db)).toSorted(), expected.toSorted());
      await write(db, tables);
      const notes = `SELECT obj_description('cdc'::regnamespace, 'pg_namespace') AS text`;
      const [{ text = '' } = {}] = await db.run(notes);
      await as(db, 'owner', `COMMENT ON SCHEMA cdc IS '${text?.replace('"kind"', '"sort"') ?? ''}'`);
      await assert.rejects(undoSource(db.login('owner')), { code: 'SOURCE_PREPARE_FAILED' });
    });

    /** Carries out every remedy that doctor prints, the way chosen of each; the application must be able to write after each. */
    async function fix(db: DoctorDatabase, chosen: 'first' | 'last', writes: boolean): Promise<ConnectorFile> {
      let tables = zoo.filter(({ kind }) => kind !== 'a view' && kind !== 'materialised');
      const left: string[] = [];
      const moreOf = (): ConnectorConfig => (left.length === 0 ? {} : { 'column.exclude.list': left.join(',') });
      for (let pass = 0; pass < 6; pass += 1) {
        const file = await fileOf(db, tables, moreOf());
        const { findings } = await db.examine(['log'], { files: [file], topicPrefix: db.name });
        const bad = findings.filter(({ severity }) => severity === 'error' || severity === 'warning');
        if (bad.length === 0) return file;
        for (const finding of findings) {
          const ways = waysOf(finding.remedy);
          const way = chosen === 'first' ? ways[0] : ways.at(-1);
          for (const sql of way ?? []) await run(db, finding, sql);
          const exclude = /"column\.exclude\.list": (".*?[^\\]") in the connector file/.exec(finding.remedy)?.[1];
          if (exclude !== undefined) left.push(String(JSON.parse(exclude)));
          if (/take (?:it|\S+) out of table\.include\.list/i.test(finding.remedy) && way === undefined) {
            tables = tables.filter(({ schema, table }) => `${schema}.${table}` !== finding.subject.table);
          }
          if (!writes || way === undefined) continue;
          const concerned = zoo.filter(({ schema, table }) => finding.subject.table === `${schema}.${table}`);
          assert.deepEqual(await broken(db, concerned.length === 0 ? zoo : concerned), [], `after ${finding.code}: ${finding.remedy}`);
        }
        await prepare(db, tables);
        if (writes) assert.deepEqual(await broken(db), [], 'after preparing');
      }
      const last = await db.examine(['log'], { files: [await fileOf(db, tables, moreOf())], topicPrefix: db.name });
      assert.fail(last.findings.map(({ severity, code, cause, remedy }) => `${severity} ${code}: ${cause} ${remedy}`).join('\n'));
    }

    test('every remedy of a source that nobody has prepared can be carried out, the application writes on, and the connector streams every table', async () => {
      await using db = await database();
      const reported = (await db.examine(['log'], { files: [await fileOf(db, zoo, {})], topicPrefix: db.name })).findings.map(
        ({ code }) => code,
      );
      assert.equal(reported.includes('KEY_NOT_LOGGED'), version < 18);
      const file = await fix(db, 'first', true);
      const connect = await testConnect();
      await using cleanup = new AsyncDisposableStack();
      cleanup.defer(async () => {
        await removeConnector(connect, file.name, db.login('replicator'));
        await removeTopics(db.name);
      });
      await applyConnector(connect, file, { timeoutMs: 120_000 });
      await waitForStreaming(connect, file.name, { timeoutMs: 120_000 });
      await write(db);
      const captured = zoo.filter(({ schema, table }) => (file.config['table.include.list'] ?? '').includes(`${schema}.${table},`));
      const expected = await sourceRows(db, captured, version);
      assert.deepEqual(await streamedRows(db, captured, expected), expected);
    });

    test('where a publication was made by hand and broke the application, the remedies fix it', async () => {
      await using db = await database();
      const rows = await db.run(
        `SELECT string_agg(format('%I.%I', nspname, relname), ', ' ORDER BY relname) AS names
        FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
        WHERE nspname LIKE 'zoo%' AND relkind IN ('r', 'p') AND relpersistence = 'p' AND NOT relispartition`,
      );
      await as(
        db,
        'owner',
        `CREATE PUBLICATION cdc_publication FOR TABLE ${rows[0]?.['names'] ?? ''};
        ALTER TABLE zoo.generated_stored REPLICA IDENTITY FULL`,
      );
      assert.notDeepEqual(await broken(db), []);
      await fix(db, 'last', false);
      await write(db);
    });

    function kindOf({ object }: SourceChange): string {
      return zoo.find(({ schema, table }) => object === `table ${schema}.${table}`)?.kind ?? object;
    }
  });
}

/** What undo does not take back. */
async function leftBy(db: DoctorDatabase): Promise<readonly string[]> {
  const refused = (await undoSource(db.login('owner'))).filter(({ action }) => action === 'refused');
  for (const { object, reason = '', remedy = '' } of refused) assert.ok(reason !== '' && remedy !== '', object);
  return refused.map(({ object }) => object);
}

function isMade({ action }: SourceChange): boolean {
  return action !== 'present' && action !== 'refused';
}

function request(db: DoctorDatabase, tables: readonly ZooTable[]): Parameters<typeof prepareEach>[1] {
  return {
    tables: tables.map(({ schema, table }) => ({ schema, table })),
    publication: 'cdc_publication',
    replicator: db.login('replicator').user ?? '',
  };
}

/** Publications, identities, rights, schemas: all that preparing may change. */
async function state(db: DoctorDatabase): Promise<unknown> {
  const rows = await Promise.all([
    db.run(`SELECT to_jsonb(p) - 'oid' AS publication FROM pg_publication p`),
    db.run(`SELECT pubname, prrelid::regclass AS name FROM pg_publication_rel JOIN pg_publication p ON p.oid = prpubid`),
    db.run(`SELECT oid::regclass AS name, relreplident, ARRAY(SELECT unnest(relacl)::text ORDER BY 1) AS rights,
        (SELECT indexrelid::regclass FROM pg_index WHERE indrelid = c.oid AND indisreplident) AS index
      FROM pg_class c WHERE relkind IN ('r', 'p', 'v', 'm') AND relnamespace::regnamespace::text !~ '^(pg_|information)'`),
    db.run(`SELECT nspname, ARRAY(SELECT unnest(coalesce(nspacl, acldefault('n', nspowner)))::text ORDER BY 1) AS rights,
        nullif(regexp_replace(obj_description(oid, 'pg_namespace'), '\\n?Made by cdc.*', ''), '') AS comment FROM pg_namespace WHERE nspname !~ '^pg_'`),
    db.run(`SELECT attrelid::regclass AS name, attname, attacl FROM pg_attribute WHERE attacl IS NOT NULL`),
  ]);
  return rows.map((list) => list.map((row) => JSON.stringify(row)).toSorted());
}

async function as(db: DoctorDatabase, who: 'owner' | 'application', sql: string): Promise<void> {
  const client = new Client(db.login(who));
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}

const fileOf = (db: DoctorDatabase, tables: readonly ZooTable[], more: ConnectorConfig): Promise<ConnectorFile> =>
  db.file({
    'table.include.list': [...tables.map(({ schema, table }) => `${schema}.${table}`), 'cdc.heartbeat'].join(','),
    'topic.creation.default.partitions': '1',
    'topic.prefix': db.name,
    ...more,
  });

/** As whom the finding says. */
async function run(db: DoctorDatabase, { privilege, code }: Finding, sql: string): Promise<void> {
  const done = privilege.startsWith('owner of ') ? as(db, 'owner', sql) : db.run(sql);
  await done.catch((error: unknown) => assert.fail(`${code}: ${sql}: ${String(error)}`));
}
