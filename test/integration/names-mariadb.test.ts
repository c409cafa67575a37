import assert from 'node:assert/strict';
import { before, test, type TestContext } from 'node:test';
import * as fc from 'fast-check';
import { formatTableId, topicName } from '#change-events/index.ts';
import { withMariadb } from '#connectors/mariadb/mariadb-source.ts';
import { prepareMariadb } from '#connectors/mariadb/prepare.ts';
import { examine } from '#doctor/examine.ts';
import { doctorRequest } from '#doctor/request.ts';
import { mariadbConnectionOptions, mariadbName, mariadbText, ownMember, pipelineSchema } from '#pipeline/index.ts';
import { hostileMariadbName, memberNames } from '#test/support/hostile-names.ts';
import { entryOf, hostileTables, insertSql, rounds, seed, tableSql, valueOf, type HostileTable } from '#test/support/hostile-tables.ts';
import { testKafka } from '#test/support/kafka.ts';
import { whyNoMariadb } from '#test/support/mariadb.ts';
import { startTestPoller } from '#test/support/poller.ts';
import { readPublished } from '#test/support/published.ts';
import { eventually } from '#test/support/read-database.ts';
import { testStack, uniqueName } from '#test/support/stack.ts';

/** Whatever the names of databases, tables and columns: the poller, doctor's remedies and prepare take them, in every sql_mode. */

const sql = { name: mariadbName, text: mariadbText };
// Shorter than the 64 characters that there may be, since the databases are the whole server's: each begins with a name of the round's own.
const name = hostileMariadbName(40).filter((one) => !/[/]/.test(one));
// The server compares column names, and with some file systems table names, without case.
const tables = hostileTables(name, 6, (one) => one.toLowerCase());

/** Of a whole database GRANT takes a pattern. */
const wholeDatabase = (schema: string): string => mariadbName(schema.replaceAll(/[\\_%]/g, String.raw`\$&`));

let skip: string | null;
before(async () => {
  skip = await whyNoMariadb();
});

async function round(t: TestContext, drawn: readonly HostileTable[]): Promise<void> {
  const { mariadb: server, kafka: brokers } = await testStack();
  assert.ok(server !== undefined);
  const prefix = uniqueName('names');
  const own = drawn.map((table) => ({ ...table, id: { ...table.id, schema: `${prefix}${table.id.schema}` } }));
  const root = { dialect: 'mariadb', connection: mariadbConnectionOptions(server, server.superuser, 'test') } as const;
  const user = { user: prefix, password: uniqueName('secret') };
  const replicator = { user: `${prefix}_r`, password: uniqueName('secret') };
  await withMariadb(root, async (query) => {
    await using cleanup = new AsyncDisposableStack();
    // Under it, double quotes are of names, and a backslash is a letter.
    await query("SET SESSION sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES,STRICT_ALL_TABLES', time_zone = '+00:00'");
    for (const one of [user, replicator]) {
      await query(`CREATE USER ${one.user}@'127.0.0.1' IDENTIFIED BY '${one.password}'`);
      cleanup.defer(async () => void (await query(`DROP USER ${one.user}@'127.0.0.1'`)));
    }
    for (const schema of new Set(own.map(({ id }) => id.schema))) {
      await query(`CREATE DATABASE ${mariadbName(schema)} CHARACTER SET utf8mb4`);
      cleanup.defer(async () => void (await query(`DROP DATABASE ${mariadbName(schema)}`)));
    }
    // Without any right in the database it could not log in to it.
    await query(`GRANT CREATE TEMPORARY TABLES ON ${wholeDatabase(own[0]?.id.schema ?? '')}.* TO ${prefix}@'127.0.0.1'`);
    for (const table of own) {
      const [key, time, value, other] = [table.key, table.time, table.value, table.other].map(mariadbName);
      await query(
        `CREATE TABLE ${tableSql(table, sql.name)} (${key} bigint PRIMARY KEY AUTO_INCREMENT, ${value} text, ${other} text, ${time} timestamp(6) NOT NULL DEFAULT current_timestamp(6) ON UPDATE current_timestamp(6))`,
      );
      for (const n of [1, 2, 3]) await query(insertSql(table, n, sql));
    }
    const config = pipelineSchema.parse({
      legacyDb: {
        dialect: 'mariadb',
        host: server.host,
        port: server.port,
        database: own[0]?.id.schema,
        roles: { poller: user },
      },
      kafka: { brokers: brokers.brokers, partitions: 1, replicationFactor: 1, client: process.env['CDC_TEST_KAFKA_CLIENT'] },
      poller: {
        name: prefix,
        topicPrefix: prefix,
        pollIntervalMs: Math.max(50, 25 * own.length),
        sharing: 'takeover',
        tables: own.map((table) => entryOf(table, formatTableId(table.id))),
      },
    });
    const told = async (): Promise<readonly string[]> => {
      const request = await doctorRequest(config, '/', ['query']);
      assert.equal(request.dialect, 'mariadb');
      const names = new Set(own.map(({ id }) => formatTableId(id)));
      const { findings } = await examine(request);
      return findings
        .filter(({ code, severity, subject }) => names.has(subject.table ?? '') && (severity === 'error' || code === 'COLUMN_UNINDEXED'))
        .map(({ remedy }) => remedy);
    };
    // The account sees nothing yet but that it may not: first the grants, then the indexes. Their account is one of the server's own words.
    for (const expected of [/^GRANT SELECT/, /INDEX/]) {
      const remedies = await told();
      assert.equal(remedies.length, own.length, remedies.join('\n'));
      for (const remedy of remedies) {
        assert.match(remedy, expected);
        // A statement a line, as the word that begins the next one tells: names have line breaks too.
        for (const statement of remedy.split(/;\n(?=[A-Z]{3,} )/)) await query(statement);
      }
      if (expected.source.startsWith('^GRANT'))
        await query(`GRANT SELECT ON ${wholeDatabase(own[0]?.id.schema ?? '')}.* TO ${prefix}@'127.0.0.1'`);
    }
    assert.deepEqual(await told(), []);

    const kafka = await testKafka();
    await using poller = startTestPoller(config);
    const ended = poller.ended.then(() => assert.fail('the poller ended'));
    ended.catch(() => undefined);
    await using admin = await kafka.admin();
    await admin.ensureTopics(own.map(({ id }) => ({ topic: topicName(prefix, id), partitions: 1, replicationFactor: 1 })));
    for (const table of own) {
      await query(
        `UPDATE ${tableSql(table, sql.name)} SET ${mariadbName(table.value)} = ${mariadbText(valueOf(2, 2, table))} WHERE ${mariadbName(table.key)} = 2`,
      );
      await query(insertSql(table, 4, sql));
    }
    for (const table of own) {
      const [key, value] = [table.key, table.value].map(mariadbName);
      const rows = await query(`SELECT ${key}, ${value} FROM ${tableSql(table, sql.name)} ORDER BY 1`);
      const expected = rows.map(([k, v]) => [Number(k), v, table.hides ? undefined : 'masked']);
      const published = async (): Promise<readonly unknown[]> => {
        const last = new Map(
          (await readPublished(kafka, topicName(prefix, table.id))).map(({ key: of, event }) => [of, event.after ?? {}]),
        );
        const found = [...last.values()].map((row) => [table.key, table.value, table.other].map((column) => ownMember(row, column)));
        return found.toSorted(([a], [b]) => Number(a) - Number(b));
      };
      const same = eventually(published, (found) => JSON.stringify(found) === JSON.stringify(expected), 240_000);
      await Promise.race([same, ended]).catch((error: unknown) => {
        t.diagnostic(JSON.stringify(table));
        throw error;
      });
    }
    await poller.stop();

    const changes = await prepareMariadb(
      { owner: root, replicator: { dialect: 'mariadb', connection: mariadbConnectionOptions(server, replicator, 'test') } },
      own.map(({ id }) => id),
    );
    const granted = changes.flatMap(({ action, object }) => (action === 'granted' && object.startsWith('SELECT on ') ? [object] : []));
    for (const { id } of own)
      assert.ok(granted.includes(`SELECT on ${id.schema}.${id.table} to ${replicator.user}@127.0.0.1`), JSON.stringify([id, granted]));
  });
}

test('tables of whatever names are polled from MariaDB as they are; doctor’s remedies and prepare run', async (t) => {
  if (skip !== null) return t.skip(skip);
  t.diagnostic(`TEST_SEED=${seed}`);
  await fc.assert(
    fc.asyncProperty(tables, (drawn) => round(t, drawn)),
    { numRuns: rounds, seed, endOnFailure: true },
  );
});

test('columns and tables may be called as every object has members', async (t) => {
  if (skip !== null) return t.skip(skip);
  // Each name once as each of the four columns, masked and left out too.
  const named = memberNames.map((_, at): HostileTable => {
    const [key = '', time = '', value = '', other = ''] = [0, 1, 2, 3].map((next) => memberNames[(at + 3 * next) % memberNames.length]);
    return { id: { schema: time, table: key }, key, time, value, other, hides: at % 2 === 0 };
  });
  await round(t, named);
});
