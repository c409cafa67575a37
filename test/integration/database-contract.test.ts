import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import getPort from 'get-port';
import { createEventEncoder } from '#cdc-poller/encoding/event-encoder.ts';
import type { Pass } from '#cdc-poller/fence/pass.ts';
import type { CatalogTable } from '#cdc-poller/source/table/catalog-table.ts';
import type { SourceSession, TextRows } from '#cdc-poller/source/dialect.ts';
import { pagePrefix } from '#cdc-poller/source/dialect.ts';
import { findProblems } from '#cdc-poller/source/judge/judge-table.ts';
import { cursorAfter, pageRows } from '#cdc-poller/source/page-rows.ts';
import { TableReshaped } from '#cdc-poller/source/table/table-reshaped.ts';
import { shapeOf, type TableShape } from '#cdc-poller/source/table/table-shape.ts';
import { CdcError, type LegacyDbConfig } from '#pipeline/index.ts';
import { pollerTableSchema } from '#pipeline/config/settings/poller-table-settings.ts';
import { databaseKinds, type DatabaseKind, type DatabaseScene, type TableSettings } from '#test/support/database-kinds.ts';
import { startTestPoller } from '#test/support/poller.ts';
import { valuesOf } from '#test/support/poller-scene.ts';
import type { PublishedEvent } from '#test/support/published.ts';

/** What every database behind cdc-poller/source/dialect.ts does, whatever it is. What only one of them has is in its own tests. */

const everything: Pass = { kind: 'load', from: null, below: null, horizon: null, nextHorizon: 0n, cursor: null };

type Look = { readonly session: SourceSession; readonly catalog: CatalogTable; readonly shape: TableShape; readonly role: string };

async function open({ dialect }: DatabaseKind, legacyDb: LegacyDbConfig): Promise<SourceSession> {
  return await dialect.openSession(legacyDb, 'contract', 60_000);
}

/** A table as the poller comes to know it, over a session that the caller ends. */
async function look({ dialect }: DatabaseKind, scene: DatabaseScene, session: SourceSession, table: TableSettings): Promise<Look> {
  const config = pollerTableSchema.parse({ ...table, table: `${scene.schema}.${table.table}` });
  const { role } = await dialect.readIdentity(session);
  const catalog = await dialect.readCatalog(session, config);
  return { session, catalog, role, shape: shapeOf(catalog, config, '', dialect.words) };
}

/** All rows of the table, page by page. */
async function readAll({ dialect }: DatabaseKind, { session, shape }: Look, limit: number): Promise<readonly TextRows[]> {
  const pages: TextRows[] = [];
  for (let pass = everything; ;) {
    const rows = await session.page(dialect.pageQuery(shape, pass, limit));
    pageRows(shape, rows);
    if (rows.length > 0) pages.push(rows);
    assert.ok(pages.length < 100, 'the pages come to no end');
    if (rows.length < limit) return pages;
    pass = { ...pass, cursor: cursorAfter(shape, rows) };
  }
}

function encoderOf({ dialect }: DatabaseKind, { shape }: Look): ReturnType<typeof createEventEncoder> {
  const { encodeColumn, keyText } = dialect;
  return createEventEncoder({ ...shape, database: 'any', table: shape.id, prefix: 'any', encodeColumn, keyText });
}

async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return 'none';
  } catch (error) {
    if (error instanceof CdcError) return error.code;
    throw error;
  }
}

/** Row versions that were published more than once. */
function repeated(events: readonly PublishedEvent[]): readonly string[] {
  const versions = events.map(
    ({ key, event }) => `${key} ${JSON.stringify(event.after, (_, value: unknown) => (typeof value === 'bigint' ? String(value) : value))}`,
  );
  return versions.filter((version, index) => versions.indexOf(version) !== index);
}

function has(note: string): (events: readonly PublishedEvent[]) => boolean {
  return (events) => valuesOf(events, 'note').includes(note);
}

function insert(id: number, note: string): string {
  return `INSERT INTO orders (id, note) VALUES (${id}, '${note}')`;
}

for (const kind of databaseKinds) {
  const { dialect, sql, why } = kind;
  suite(`the contract for databases: ${kind.name}`, { skip: why ?? false }, () => {
    const stamped = `updated_at ${sql.zoned} DEFAULT current_timestamp(6) NOT NULL`;

    test('a session opens, says who it is, and reads only; a login, a server that are none are refused by code, without the password', async () => {
      await using scene = await kind.open([`CREATE TABLE t (id bigint PRIMARY KEY, ${stamped})`]);
      const { legacyDb } = scene.config;
      const { poller } = legacyDb.roles;
      {
        await using session = await open(kind, legacyDb);
        const identity = await dialect.readIdentity(session);
        assert.match(identity.role, new RegExp(`^${poller.user}`));
        assert.equal(identity.readOnly, false);
        const again = await dialect.readIdentity(session);
        assert.deepEqual([again.systemIdentifier, again.timeline], [identity.systemIdentifier, identity.timeline]);
        await assert.rejects(session.query(`INSERT INTO ${sql.name(scene.schema)}.t (id) VALUES (1)`));
        const [first, second] = [await session.observe(), await session.observe()];
        assert.ok(first.clock <= second.clock);
        // After an error the session goes on.
        assert.deepEqual(await session.query('SELECT 1'), [['1']]);
      }
      const wrong = open(kind, { ...legacyDb, roles: { poller: { ...poller, password: 'wrong-secret' } } });
      await assert.rejects(wrong, (error: Error) => !error.message.includes('wrong-secret'));
      assert.equal(await codeOf(wrong), 'LEGACY_LOGIN_REFUSED');
      assert.equal(await codeOf(open(kind, { ...legacyDb, port: await getPort() })), 'LEGACY_DB_UNREACHABLE');
    });

    test('the catalogue: columns, key, unique keys, indexes, rights; a table that is none, with the one that was meant', async () => {
      await using scene = await kind.open([
        `CREATE TABLE orders (a integer NOT NULL, b bigint NOT NULL, code varchar(20) NOT NULL, note varchar(20), ${stamped}, PRIMARY KEY (b, a), UNIQUE (code, a))`,
        'CREATE INDEX by_time ON orders (updated_at, b, a)',
      ]);
      await using session = await open(kind, scene.config.legacyDb);
      const { catalog, shape } = await look(kind, scene, session, { table: 'orders', mode: 'timestamp', key: ['b', 'a'] });
      assert.deepEqual(
        catalog.columns.map(({ name, notNull, readable, unknownPart }) => [name, notNull, readable, unknownPart ?? null]),
        [
          ['a', true, true, null],
          ['b', true, true, null],
          ['code', true, true, null],
          ['note', false, true, null],
          ['updated_at', true, true, null],
        ],
      );
      assert.deepEqual(catalog.primaryKey, ['b', 'a']);
      assert.ok(catalog.uniqueKeys.some((names) => names.join() === 'code,a'));
      assert.ok(catalog.indexes.some((names) => names.join() === 'updated_at,b,a'));
      assert.deepEqual([catalog.exists, catalog.readable], [true, true]);
      assert.deepEqual(
        shape.order.map(({ columns }) => columns),
        [[4], [1], [0]],
      );
      assert.ok((await dialect.listTables(session)).some(([schema, table]) => schema === scene.schema && table === 'orders'));
      const missing = await dialect.readCatalog(session, pollerTableSchema.parse({ table: `${scene.schema}.order` }));
      assert.equal(missing.exists, false);
      assert.ok(missing.similar.includes(`${scene.schema}.orders`), missing.similar.join());
    });

    test('pages: every row once, in order, across equal timestamps and whatever the page; from a mark on; the highest id', async () => {
      const rows = [3, 1, 2, 7, 5, 6, 4, 9, 8].map((id) => `(${id}, '2026-01-01 00:00:0${id < 6 ? 1 : 2}.5')`);
      await using scene = await kind.open([
        `CREATE TABLE t (id bigint PRIMARY KEY, ${stamped})`,
        `INSERT INTO t (id, updated_at) VALUES ${rows.join(', ')}`,
      ]);
      await using session = await open(kind, scene.config.legacyDb);
      const found = await look(kind, scene, session, { table: 't' });
      for (const limit of [1, 2, 4, 100]) {
        const pages = await readAll(kind, found, limit);
        assert.deepEqual(
          pages.flat().map((row) => row[pagePrefix]),
          ['1', '2', '3', '4', '5', '6', '7', '8', '9'],
          `pages of ${limit}`,
        );
      }
      const from = BigInt(Date.parse('2026-01-01T00:00:02.500Z')) * 1000n;
      const later = await session.page(dialect.pageQuery(found.shape, { ...everything, from }, 100));
      assert.deepEqual(
        later.map((row) => row[pagePrefix]),
        ['6', '7', '8', '9'],
      );
      const earlier = await session.page(dialect.pageQuery(found.shape, { ...everything, below: from }, 100));
      assert.deepEqual(
        earlier.map((row) => row[pagePrefix]),
        ['1', '2', '3', '4', '5'],
      );
      const { shape } = await look(kind, scene, session, { table: 't', mode: 'incrementing', idsAscend: true });
      assert.deepEqual(await session.query(dialect.highestIdQuery(shape)), [['9']]);
    });

    test('values of the types that all of them have are the same in events, digit by digit', async () => {
      const columns = `id bigint PRIMARY KEY, small smallint, whole integer, exact numeric(20,4), approximate double precision, words varchar(50), due date, clock time(6), local ${sql.local}, zoned ${sql.zoned} NULL, bytes ${sql.bytes}, name uuid, doc json, ${stamped}`;
      const one = `9223372036854775807, -32768, -2147483648, 12345678901234.5, 1.5e300, 'h"é\t''😀', '2026-02-28', '23:59:59.12', '2026-11-23 00:00:00.123456', '2026-11-22 15:00:00.1', ${sql.hex('00ff10')}, '00112233-4455-6677-8899-aabbccddeeff', ${sql.json('{"a":[1.10,"x"]}')}`;
      const two = `-1, 0, 7, -0.0001, 0.001, '', '0099-12-31', '00:00:00', '2026-01-01 00:00:00', NULL, ${sql.hex('')}, NULL, NULL`;
      await using scene = await kind.open([
        `CREATE TABLE t (${columns})`,
        ...[one, two].map(
          (values) =>
            `INSERT INTO t (id, small, whole, exact, approximate, words, due, clock, local, zoned, bytes, name, doc, updated_at) VALUES (${values}, '2026-01-01 00:00:00')`,
        ),
      ]);
      await using session = await open(kind, scene.config.legacyDb);
      const found = await look(kind, scene, session, { table: 't', excludeColumns: ['updated_at'] });
      const encoder = encoderOf(kind, found);
      const events = (await readAll(kind, found, 10)).flatMap((rows) =>
        pageRows(found.shape, rows).map(({ row }) => `${encoder.key(row)} ${encoder.after(row)}`),
      );
      assert.deepEqual(events, [
        String.raw`{"id":-1} {"id":-1,"small":0,"whole":7,"exact":"-0.0001","approximate":0.001,"words":"","due":"0099-12-31Z","clock":"00:00:00Z","local":"2026-01-01T00:00:00Z","zoned":null,"bytes":"","name":null,"doc":null}`,
        String.raw`{"id":9223372036854775807} {"id":9223372036854775807,"small":-32768,"whole":-2147483648,"exact":"12345678901234.5000","approximate":1.5E300,"words":"h\"é\t'\uD83D\uDE00","due":"2026-02-28Z","clock":"23:59:59.12Z","local":"2026-11-23T00:00:00.123456Z","zoned":"2026-11-22T15:00:00.100000Z","bytes":"AP8Q","name":"00112233-4455-6677-8899-aabbccddeeff","doc":"{\"a\":[1.10,\"x\"]}"}`,
      ]);
    });

    test('keys of several columns and types cut pages and name rows; what cannot is refused', async () => {
      await using scene = await kind.open([
        `CREATE TABLE t (amount numeric(10,2) NOT NULL, due date NOT NULL, code ${sql.bytes} NOT NULL, doc json, ${stamped}, PRIMARY KEY (amount, due, code))`,
        ...[1, 2, 3].map(
          (due) =>
            `INSERT INTO t (amount, due, code, updated_at) VALUES (1.5, '2026-01-0${due}', ${sql.hex('00fe')}, '2026-01-01 00:00:00'), (1.5, '2026-01-0${due}', ${sql.hex('00ff')}, '2026-01-01 00:00:00')`,
        ),
      ]);
      await using session = await open(kind, scene.config.legacyDb);
      const found = await look(kind, scene, session, { table: 't', mode: 'timestamp' });
      const encoder = encoderOf(kind, found);
      const keys = (await readAll(kind, found, 1)).flatMap((rows) => pageRows(found.shape, rows).map(({ row }) => encoder.key(row)));
      assert.equal(keys.length, 6);
      assert.equal(new Set(keys).size, 6);
      assert.equal(keys[0], '{"amount":"1.50","due":"2026-01-01Z","code":"AP4="}');
      const config = pollerTableSchema.parse({ table: `${scene.schema}.t`, mode: 'timestamp', key: ['doc'] });
      const codes = findProblems(found.catalog, config, found.role, dialect.words).map(({ code }) => code);
      assert.ok(codes.includes('KEY_UNFIT'), codes.join());
    });

    test('a table that was changed is noticed by its next page', async () => {
      await using scene = await kind.open([`CREATE TABLE t (id bigint PRIMARY KEY, ${stamped})`, 'INSERT INTO t (id) VALUES (1)']);
      await using session = await open(kind, scene.config.legacyDb);
      const before = await look(kind, scene, session, { table: 't' });
      assert.equal((await readAll(kind, before, 10)).flat().length, 1);
      await scene.run('ALTER TABLE t ADD COLUMN more varchar(5)');
      await assert.rejects(readAll(kind, before, 10), TableReshaped);
      const after = await look(kind, scene, session, { table: 't' });
      assert.equal((await readAll(kind, after, 10)).flat().length, 1);
      await scene.run('ALTER TABLE t DROP COLUMN more');
      // Postgres refuses the page itself.
      await assert.rejects(readAll(kind, after, 10));
    });

    test('odd names of columns and tables are read as they are', async () => {
      const odd = [
        'ORDER',
        'Order',
        'a.b',
        'what?',
        'price as paid',
        '*',
        "it's",
        'x" y',
        '$1',
        '⟦0⟧',
        'back\\slash',
        'line\nfeed',
        '; DROP TABLE t; --',
        'ä',
      ];
      // Names that differ in case alone are one to MariaDB.
      const names = odd.filter((name) => kind.name !== 'MariaDB' || name !== 'Order');
      const list = names.map((name) => sql.name(name));
      await using scene = await kind.open([
        `CREATE TABLE t (id bigint PRIMARY KEY, ${list.map((name) => `${name} varchar(20)`).join(', ')}, ${stamped})`,
        `INSERT INTO t (id, ${list.join(', ')}) VALUES (1, ${list.map((_, at) => `'${at}'`).join(', ')})`,
        ...names.map((name) => `CREATE TABLE ${sql.name(`t ${name}`)} (${sql.name(name)} bigint PRIMARY KEY, ${stamped})`),
        ...names.map((name, at) => `INSERT INTO ${sql.name(`t ${name}`)} (${sql.name(name)}) VALUES (${at})`),
      ]);
      await using session = await open(kind, scene.config.legacyDb);
      const found = await look(kind, scene, session, { table: 't', excludeColumns: ['updated_at'] });
      const [row] = (await readAll(kind, found, 10)).flat();
      assert.deepEqual(row?.slice(pagePrefix, pagePrefix + names.length + 1), ['1', ...names.map((_, at) => String(at))]);
      for (const [at, name] of names.entries()) {
        const table = `"${`t ${name}`.replaceAll('"', '""')}"`;
        const one = await look(kind, scene, session, { table, incrementingColumn: name });
        assert.deepEqual(
          (await readAll(kind, one, 10)).flat().map((texts) => texts[pagePrefix]),
          [String(at)],
          name,
        );
      }
    });

    test('a poller: late commits within the window are published, a new column comes, a restart repeats nothing', async () => {
      await using scene = await kind.open(
        [
          `CREATE TABLE orders (id bigint PRIMARY KEY, note varchar(50), ${stamped})`,
          ...[1, 2, 3, 4, 5].map((id) => `INSERT INTO orders (id, note, updated_at) VALUES (${id}, 'loaded', '2026-01-01 00:00:00')`),
        ],
        [{ table: 'orders', overlapMs: 120_000 }],
        { pageRows: 2 },
      );
      const first = startTestPoller(scene.config);
      try {
        await scene.until('orders', (all) => all.length >= 5, 'the loaded rows');
        const late = await scene.begin(insert(10, 'late'));
        await scene.run(insert(11, 'meanwhile'));
        await scene.until('orders', has('meanwhile'), 'the row that overtook it');
        await late.commit();
        await scene.until('orders', has('late'), 'the late row');
        await scene.run('ALTER TABLE orders ADD COLUMN more varchar(5)');
        await scene.run("INSERT INTO orders (id, note, more) VALUES (12, 'wider', 'm')");
        const wider = await scene.until('orders', has('wider'), 'the row of the new shape');
        assert.equal(wider.find(({ event }) => event.after?.['note'] === 'wider')?.event.after?.['more'], 'm');
      } finally {
        await first.stop();
      }
      const before = await scene.published('orders');
      const second = startTestPoller(scene.config);
      try {
        await scene.run(insert(13, 'after the restart'));
        const events = await scene.until('orders', has('after the restart'), 'the row that came after the restart');
        assert.equal(events.length, before.length + 1);
        assert.deepEqual(repeated(events), []);
      } finally {
        await second.stop();
      }
    });
  });
}
