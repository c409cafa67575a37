import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { CdcError } from '#pipeline/index.ts';
import { projectionFaults } from '#read-model/views/projection-faults.ts';
import type { Projection } from '#read-model/views/projection.ts';
import { createDirectModel, type DirectModel } from '#test/support/direct-apply.ts';
import {
  check,
  create,
  createProjectionScene,
  differences,
  reasonOf,
  type TableChange,
  type TableRow,
} from '#test/support/projection-scene.ts';
import { randomQuery, type Chance, type QueryTable } from '#test/support/random-queries.ts';

/** FC_SEED repeats a run; TEST_ROUNDS makes more of them. */
const seed = Number(process.env['FC_SEED'] ?? Date.now() % 2 ** 31);
const rounds = Number(process.env['TEST_ROUNDS'] ?? (process.env['TEST_NIGHTLY'] === '1' ? 300 : 30));
const queriesARound = 12;
const batchesARound = 12;

const evenly = (max: number): fc.Arbitrary<number> => fc.noBias(fc.nat({ max }));
const uuids = [1, 2, 3].map((last) => `00000000-0000-0000-0000-00000000000${last}`);
const tableNames = ['orders', 'Odd "Name"', 'select', 'items', 'tüx'];

function randomTables(chance: Chance): readonly QueryTable[] {
  return tableNames.slice(0, 2 + chance(3)).map((name) => {
    const columns = [
      { name: 'id', type: ['integer', 'text', 'uuid', 'integer'][chance(3)] ?? 'integer' },
      { name: 'a', type: 'integer' },
      { name: 'b b', type: 'text' },
      { name: 'u', type: 'uuid' },
      { name: 'v', type: 'integer' },
    ];
    return chance(2) === 0 ? { name, key: ['b b', 'id'], columns } : { name, key: ['id'], columns };
  });
}

function randomValue(chance: Chance, type: string, nullable: boolean): string | number | null {
  if (nullable && chance(4) === 0) return null;
  if (type === 'integer') return chance(3);
  return type === 'text' ? (['a', 'b', '', 'ä "x"'][chance(3)] ?? 'a') : (uuids[chance(2)] ?? null);
}

/** Changes for one batch; `rows` is what the tables hold, and follows. */
function randomChanges(chance: Chance, tables: readonly QueryTable[], rows: Map<string, Map<string, TableRow>>): readonly TableChange[] {
  return Array.from({ length: 1 + chance(5) }, (): TableChange => {
    const table = tables[chance(tables.length - 1)];
    assert.ok(table);
    const held = rows.get(table.name) ?? new Map<string, TableRow>();
    rows.set(table.name, held);
    const kind = chance(19);
    if (kind === 0) {
      held.clear();
      return { table: table.name, op: 'truncate', row: {} };
    }
    const random = Object.fromEntries(
      table.columns.map(({ name, type }): [string, string | number | null] => [name, randomValue(chance, type, !table.key.includes(name))]),
    );
    // Rows that are there, more often than not.
    const present = [...held.values()];
    const chosen = present.length > 0 && chance(2) > 0 ? present[chance(present.length - 1)] : undefined;
    const row: TableRow = {
      ...random,
      ...(chosen === undefined ? {} : Object.fromEntries(table.key.map((name) => [name, chosen[name] ?? null]))),
    };
    const key = JSON.stringify(table.key.map((name) => row[name]));
    if (kind < 8) {
      held.delete(key);
      return { table: table.name, op: 'delete', row };
    }
    // Some columns stay as they were.
    const after =
      chosen !== undefined && chance(1) === 0
        ? { ...chosen, [table.columns[chance(table.columns.length - 1)]?.name ?? '']: null, ...keyOf(table, row) }
        : row;
    held.set(key, after);
    return { table: table.name, op: 'upsert', row: after };
  });
}

function keyOf({ key }: QueryTable, row: TableRow): TableRow {
  return Object.fromEntries(key.map((name) => [name, row[name] ?? null]));
}

type Counts = { kept: number; narrowed: number; refused: number; stood: number };
type Kept = { readonly projection: Projection; readonly sql: string };

/** What of random queries can be kept; the others are refused in so many words. */
async function keepable(direct: DirectModel, chance: Chance, tables: readonly QueryTable[], counts: Counts): Promise<Kept[]> {
  const kept: Kept[] = [];
  for (let count = 0; count < queriesARound; count += 1) {
    const { sql, key } = randomQuery(chance, tables);
    try {
      const { projections } = await check(direct, { [`view ${count}`]: `-- key: ${key.join(', ')}\n${sql}` });
      for (const projection of projections) {
        const { upkeepOfMany } = projection;
        if (upkeepOfMany.length > 0) counts.narrowed += 1;
        // Batches are too small here for what many keys are made by: so that is taken for few too, more often than not.
        kept.push({ projection: upkeepOfMany.length > 0 && chance(3) > 0 ? { ...projection, upkeep: upkeepOfMany } : projection, sql });
      }
      counts.kept += 1;
    } catch (error) {
      assert.ok(error instanceof CdcError && error.code === 'READ_MODEL_PROJECTION_INVALID', `${String(error)}\n${sql}`);
      assert.match(error.message, /it is not certain which keys/, sql);
      counts.refused += 1;
    }
  }
  return kept;
}

async function round(direct: DirectModel, chance: Chance, counts: Counts): Promise<void> {
  const tables = randomTables(chance);
  const scene = await createProjectionScene(direct, tables);
  const kept = await keepable(direct, chance, tables, counts);
  const projections = kept.map(({ projection }) => projection);
  await create(direct, projections);
  try {
    const rows = new Map<string, Map<string, TableRow>>();
    const stood = new Set<string>();
    for (let batch = 0; batch < batchesARound; batch += 1) {
      const changes = randomChanges(chance, tables, rows);
      await scene.apply(projections, changes);
      const standing = new Map((await projectionFaults(direct.pool, 'model')).map((fault) => [fault.projection, fault]));
      for (const { projection, sql } of kept) {
        const fault = standing.get(projection.name);
        if (fault === undefined) {
          const found = await differences(direct, projection, sql);
          const said = `batch ${batch}: ${JSON.stringify(changes)}\n${sql}\n${JSON.stringify(projection.touchedBy, null, 1)}\n${projection.upkeep.join('\n')}`;
          assert.deepEqual(found, [], said);
        } else if (!stood.has(projection.name)) {
          stood.add(projection.name);
          const codes = await reasonOf(direct, projection, sql);
          assert.ok(
            codes.includes(fault.code),
            `${fault.code} where ${codes.join(' or ') || 'nothing'} is the reason: ${fault.cause}\n${sql}`,
          );
        }
      }
      counts.stood += standing.size;
    }
  } finally {
    await direct.read.query(projections.map(({ name }) => `DROP TABLE model."${name}"`).join('; '));
  }
}

test(
  `whatever the query and the changes, a view is what its query gives (seed ${seed}, ${rounds} rounds)`,
  { timeout: 60_000 + rounds * 30_000 },
  async (t) => {
    await using direct = await createDirectModel();
    await direct.read.query('DROP TABLE model.order_view');
    const counts: Counts = { kept: 0, narrowed: 0, refused: 0, stood: 0 };
    await fc.assert(
      fc.asyncProperty(fc.gen(), async (g) => round(direct, (most) => (most === 0 ? 0 : g(evenly, most)), counts)),
      { seed, numRuns: rounds, endOnFailure: true },
    );
    t.diagnostic(
      `${counts.kept} queries kept, ${counts.narrowed} of them narrowed to many keys, ${counts.refused} refused as not certain; views stood ${counts.stood} times`,
    );
    assert.ok(counts.narrowed > counts.kept / 8, 'few queries are narrowed: the test has lost its object');
    assert.ok(counts.kept > counts.refused / 2, 'most queries are refused: the test has lost its object');
  },
);
