import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { Client } from 'pg';
import { applyConnector, waitForStreaming, type ConnectorConfig, type ConnectorFile } from '#connectors/index.ts';
import type { Finding } from '#doctor/finding.ts';
import { prepareEach } from '#connectors/postgres/prepare-source.ts';
import { removeConnector, removeTopics, testConnect } from '#test/support/connect.ts';
import { startDoctorBench, type DoctorBench, type DoctorDatabase } from '#test/support/doctor.ts';
import { waysOf } from '#test/support/remedies.ts';
import { sourceRows, streamedRows } from '#test/support/streamed-rows.ts';
import { zooFor, zooSql, type ZooTable } from '#test/support/table-zoo.ts';

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

    /** Which tables the application cannot write. */
    async function broken(db: DoctorDatabase, tables = zoo): Promise<readonly string[]> {
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

    /** Carries out every remedy that doctor prints, the way chosen of each; the application must be able to write after each. */
    async function mend(db: DoctorDatabase, chosen: 'first' | 'last', writes: boolean): Promise<ConnectorFile> {
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
        const role = db.login('replicator').user ?? '';
        const request = {
          tables: tables.map(({ schema, table }) => ({ schema, table })),
          publication: 'cdc_publication',
          replicator: role,
        };
        await prepareEach(db.login('owner'), request);
        if (writes) assert.deepEqual(await broken(db), [], 'after preparing');
      }
      const last = await db.examine(['log'], { files: [await fileOf(db, tables, moreOf())], topicPrefix: db.name });
      assert.fail(last.findings.map(({ severity, code, cause, remedy }) => `${severity} ${code}: ${cause} ${remedy}`).join('\n'));
    }

    test('every remedy of a source that nobody has prepared can be carried out, the application writes on, and the connector streams every table', async () => {
      await using db = await bench.database();
      await run(db, ownerFinding, zooSql(zoo, db.login('application').user ?? ''));
      const told = (await db.examine(['log'], { files: [await fileOf(db, zoo, {})], topicPrefix: db.name })).findings.map(
        ({ code }) => code,
      );
      assert.equal(told.includes('KEY_NOT_LOGGED'), version < 18);
      const file = await mend(db, 'first', true);
      const connect = await testConnect();
      await using cleanup = new AsyncDisposableStack();
      cleanup.defer(async () => {
        await removeConnector(connect, file.name, db.login('replicator'));
        await removeTopics(db.name);
      });
      await applyConnector(connect, file, { timeoutMs: 120_000 });
      await waitForStreaming(connect, file.name, { timeoutMs: 120_000 });
      assert.deepEqual(await broken(db), []);
      const captured = zoo.filter(({ schema, table }) => (file.config['table.include.list'] ?? '').includes(`${schema}.${table},`));
      const expected = await sourceRows(db, captured, version);
      assert.deepEqual(await streamedRows(db, captured, expected), expected);
    });

    test('where a publication was made by hand and broke the application, the remedies mend it', async () => {
      await using db = await bench.database();
      await run(db, ownerFinding, zooSql(zoo, db.login('application').user ?? ''));
      const { rows } = await sqlOf(
        db,
        `SELECT string_agg(format('%I.%I', nspname, relname), ', ' ORDER BY relname) AS names
        FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
        WHERE nspname LIKE 'zoo%' AND relkind IN ('r', 'p') AND relpersistence = 'p' AND NOT relispartition`,
      );
      await run(
        db,
        ownerFinding,
        `CREATE PUBLICATION cdc_publication FOR TABLE ${rows[0]?.['names'] ?? ''};
        ALTER TABLE zoo.generated_stored REPLICA IDENTITY FULL`,
      );
      assert.notDeepEqual(await broken(db), []);
      await mend(db, 'last', false);
      assert.deepEqual(await broken(db), []);
    });
  });
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
  const isOwner = privilege.startsWith('owner of ');
  const client = isOwner ? new Client(db.login('owner')) : undefined;
  try {
    if (client === undefined) await db.run(sql);
    else {
      await client.connect();
      await client.query(sql);
    }
  } catch (error) {
    assert.fail(`${code}: ${sql}: ${String(error)}`);
  } finally {
    await client?.end();
  }
}

const ownerFinding: Finding = {
  code: 'TABLE_UNLOGGED',
  severity: 'info',
  strategy: 'log',
  subject: { kind: 'table', name: '' },
  cause: '',
  remedy: '',
  privilege: 'owner of the table',
  blastRadius: '',
};

async function sqlOf(db: DoctorDatabase, sql: string): Promise<{ readonly rows: readonly Readonly<Record<string, string | null>>[] }> {
  return { rows: await db.run(sql) };
}
