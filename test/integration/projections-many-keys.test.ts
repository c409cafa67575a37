import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { escapeIdentifier } from 'pg';
import { inTransaction, queryText } from '#read-model/database.ts';
import { keyArrays } from '#read-model/views/keep-views.ts';
import { createDirectModel, type DirectModel } from '#test/support/direct-apply.ts';
import { check, createProjectionScene } from '#test/support/projection-scene.ts';

/** Whether the query is made for many keys at once, and the query. Each trap is one that an earlier or a broken form of the derivation fell into. */
const cases: Readonly<Record<string, { readonly narrows: boolean; readonly key?: string; readonly sql: string }>> = {
  'what is grouped and joined by the key': {
    narrows: true,
    sql: 'SELECT o.id AS k, g.n FROM o LEFT JOIN (SELECT a, count(*) AS n FROM i GROUP BY a) g ON g.a = o.id',
  },
  'a chain of equalities through a join of joins': {
    narrows: true,
    sql: 'SELECT o.id AS k, count(p.id) AS n FROM o LEFT JOIN (i JOIN p ON p.a = i.a) ON i.a = o.id GROUP BY o.id',
  },
  'an outer join by two columns of the side that is kept': {
    narrows: true,
    sql: 'SELECT o.id AS k, o.a, o.v, i.id AS i FROM o LEFT JOIN i ON i.a = o.id AND i.a = o.v',
  },
  'the key of the side that is kept equal to a column of the other, which is equal to a third': {
    narrows: true,
    sql: 'SELECT o.id AS k, i.id AS i, p.id AS p FROM o LEFT JOIN i ON i.a = o.id LEFT JOIN p ON p.a = i.a',
  },
  'a right join by two columns of the side that is kept': {
    narrows: true,
    sql: 'SELECT o.id AS k, i.id AS i FROM i RIGHT JOIN o ON i.a = o.id AND i.a = o.v',
  },
  'a right join': { narrows: true, sql: 'SELECT o.id AS k, i.id AS i FROM i RIGHT JOIN o ON i.a = o.id' },
  'a full join beside the key': {
    narrows: true,
    sql: 'SELECT o.id AS k, f.x, f.y FROM o JOIN LATERAL (SELECT i.id AS x, p.id AS y FROM i FULL JOIN p ON p.a = i.a WHERE i.a = o.id) f ON true',
  },
  'a full join whose sides WHERE binds': {
    narrows: true,
    sql: 'SELECT o.id AS k, i.id AS i, p.id AS p FROM o CROSS JOIN (i FULL JOIN p ON p.v = i.v) WHERE o.id = i.a OR o.id = p.a',
  },
  'USING on the side that may be null': { narrows: true, sql: 'SELECT o.id AS k, i.v FROM o LEFT JOIN i USING (id)' },
  'USING a grouped subquery': {
    narrows: true,
    sql: 'SELECT o.id AS k, g.n FROM o LEFT JOIN (SELECT a AS id, count(*) AS n FROM i GROUP BY a) g USING (id)',
  },
  'a comma and WHERE': { narrows: true, sql: 'SELECT o.id AS k, count(*) AS n FROM o, i WHERE i.a = o.id GROUP BY o.id' },
  'columns with other names': {
    narrows: true,
    sql: 'SELECT "x y".q AS k, g.n FROM o AS "x y" (q) LEFT JOIN (SELECT a, count(*) FROM i GROUP BY a) g (z, n) ON g.z = "x y".q',
  },
  'two columns as key': {
    narrows: true,
    key: 'k, l',
    sql: 'SELECT o.id AS k, g.v AS l, g.n FROM o JOIN (SELECT a, v, count(*) AS n FROM i WHERE v IS NOT NULL GROUP BY a, v) g ON g.a = o.id',
  },
  'a WITH that is named twice by the key': {
    narrows: true,
    sql: 'WITH w AS (SELECT a, count(*) AS n FROM i GROUP BY a) SELECT o.id AS k, w.n, z.n AS m FROM o LEFT JOIN w ON w.a = o.id LEFT JOIN w AS z ON z.a = w.a',
  },
  'a WITH that is named twice, once by something else': {
    narrows: false,
    sql: 'WITH w AS (SELECT a, count(*) AS n FROM i GROUP BY a) SELECT o.id AS k, w.n, z.n AS m FROM o LEFT JOIN w ON w.a = o.id LEFT JOIN w AS z ON z.a = o.v',
  },
  'UNION ALL of branches that are': {
    narrows: true,
    key: 'k, l',
    sql: "SELECT a AS k, 'i' AS l, count(*) AS n FROM i WHERE a IS NOT NULL GROUP BY a UNION ALL SELECT a, 'p', count(*) FROM p WHERE a IS NOT NULL GROUP BY a",
  },
  'a window within the key': {
    narrows: true,
    sql: 'SELECT o.id AS k, w.n FROM o JOIN (SELECT a, row_number() OVER (PARTITION BY a ORDER BY id) AS n FROM i) w ON w.a = o.id',
  },
  'LATERAL with a limit': {
    narrows: true,
    sql: 'SELECT o.id AS k, l.v FROM o LEFT JOIN LATERAL (SELECT i.v FROM i WHERE i.a = o.id ORDER BY i.id LIMIT 1) l ON true',
  },
  'a subquery with a window across keys': {
    narrows: false,
    sql: 'SELECT o.id AS k, g.n FROM o LEFT JOIN (SELECT id, row_number() OVER (ORDER BY id) AS n FROM i) g ON g.id = o.id',
  },
  'a subquery with a limit across keys': {
    narrows: false,
    sql: 'SELECT o.id AS k, g.v FROM o LEFT JOIN (SELECT id, v FROM i ORDER BY id LIMIT 3) g ON g.id = o.id',
  },
  'a grouped subquery joined by something else': {
    narrows: false,
    sql: 'SELECT o.id AS k, g.n FROM o LEFT JOIN (SELECT a, count(*) AS n FROM i GROUP BY a) g ON g.a = o.v',
  },
  'types that differ': {
    narrows: false,
    sql: 'SELECT o.id AS k, g.n FROM o LEFT JOIN (SELECT wide, count(*) AS n FROM p GROUP BY wide) g ON g.wide = o.id',
  },
  'a branch of UNION ALL whose key is worked out': {
    narrows: false,
    key: 'k, l',
    sql: "SELECT id AS k, 'o' AS l FROM o UNION ALL SELECT id + 10, 'p' FROM p",
  },
  'IN a grouped subquery': {
    narrows: false,
    sql: 'SELECT o.id AS k, o.v FROM o WHERE o.id IN (SELECT a FROM i GROUP BY a HAVING count(*) > 1)',
  },
};

describe('a view made for many keys at once', () => {
  let direct: DirectModel;
  before(async () => {
    direct = await createDirectModel();
    const columns = ['id', 'a', 'v'].map((name) => ({ name, type: 'integer' }));
    await createProjectionScene(direct, [
      ...['o', 'i'].map((name) => ({ name, key: ['id'], columns })),
      { name: 'p', key: ['id'], columns: [...columns, { name: 'wide', type: 'bigint' }] },
    ]);
    await direct.read.query(`
      SELECT setseed(0.5);
      INSERT INTO model.o SELECT n, nullif(floor(random() * 12)::integer, 0), nullif(floor(random() * 12)::integer, 0), 1 FROM generate_series(0, 11) n;
      INSERT INTO model.i SELECT n, nullif(floor(random() * 9)::integer, 0), nullif(floor(random() * 9)::integer, 0), 1 FROM generate_series(0, 30) n;
      INSERT INTO model.p SELECT n, nullif(floor(random() * 9)::integer, 0), nullif(floor(random() * 9)::integer, 0), n, 1 FROM generate_series(0, 20) n`);
  });
  after(() => direct[Symbol.asyncDispose]());

  for (const [name, { narrows, key = 'k', sql }] of Object.entries(cases)) {
    test(`${name}: ${narrows ? 'the same rows, and no other part of the query for all keys' : 'key by key only'}`, async () => {
      const { projections } = await check(direct, { view: `-- key: ${key}\n${sql}` });
      const [projection] = projections;
      assert.ok(projection);
      const [statement] = projection.upkeepOfMany;
      assert.equal(statement !== undefined, narrows, statement);
      if (statement === undefined) return;
      // What is made of it, whether or not a key comes twice.
      const made = `${statement.slice(0, statement.indexOf(', "cdc gone" AS'))} SELECT * FROM "cdc made"`;
      const names = projection.key.map((column) => escapeIdentifier(column.name)).join(', ');
      const types = projection.key.map((column, index) => `$${index + 1}::${column.type}[]`).join(', ');
      const wanted = `SELECT * FROM (${sql}) AS q WHERE (${names}) IN (SELECT * FROM unnest(${types}))`;
      await inTransaction(direct.pool, 'model', async (client) => {
        const all = await queryText(client, `SELECT DISTINCT ${names} FROM (${sql}) AS q`);
        assert.ok(all.length > 3);
        for (const step of [1, 2, 3]) {
          const asked = keyArrays(
            projection,
            all.filter((_, index) => index % step === 0),
          );
          const differences = await queryText(
            client,
            `((${wanted}) EXCEPT ALL (${made})) UNION ALL ((${made}) EXCEPT ALL (${wanted}))`,
            asked,
          );
          assert.deepEqual(differences, [], statement);
        }
      });
    });
  }
});
