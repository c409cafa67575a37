import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import * as fc from 'fast-check';
import { createDirectModel, type DirectModel } from '#test/support/direct-apply.ts';
import { createMember, type Member } from '#test/support/applying-member.ts';
import { createSourceWorld, type Operation, type SourceWorld } from '#test/support/source-world.ts';

/** FC_SEED repeats a run; TEST_NIGHTLY=1 makes many; FC_SHRINK=1 looks for a shorter history that fails too. */
const seed = Number(process.env['FC_SEED'] ?? Date.now() % 2 ** 31);
const nightly = process.env['TEST_NIGHTLY'] === '1';
const numRuns = nightly ? 200 : 20;
const limitMs = nightly ? 25 * 60_000 : 330_000;
const endOnFailure = process.env['FC_SHRINK'] !== '1';

type Step =
  | { readonly does: 'change'; readonly operations: readonly Operation[] }
  | { readonly does: 'advance'; readonly member: number; readonly from: number; readonly places: number; readonly count: number }
  | { readonly does: 'rebalance'; readonly member: number; readonly from: number; readonly count: number }
  | { readonly does: 'repeat'; readonly member: number }
  | { readonly does: 'crash'; readonly member: number; readonly afterMs: number }
  | { readonly does: 'replay'; readonly place: number };

const member = fc.nat(1);
const operationOf = fc.record<Operation>({
  kind: fc.oneof(
    { weight: 12, arbitrary: fc.constant('upsert' as const) },
    { weight: 5, arbitrary: fc.constant('delete' as const) },
    { weight: 2, arbitrary: fc.constant('rekey' as const) },
    { weight: 1, arbitrary: fc.constant('truncate' as const) },
  ),
  table: fc.constantFrom(0, 1, 2, 2, 3, 3),
  id: fc.nat(100),
  salt: fc.nat(1000),
});
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 30,
    arbitrary: fc.record({ does: fc.constant('change' as const), operations: fc.array(operationOf, { minLength: 1, maxLength: 5 }) }),
  },
  {
    weight: 30,
    arbitrary: fc.record({
      does: fc.constant('advance' as const),
      member,
      from: fc.nat(7),
      places: fc.integer({ min: 1, max: 8 }),
      count: fc.integer({ min: 1, max: 6 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ does: fc.constant('rebalance' as const), member, from: fc.nat(7), count: fc.integer({ min: 1, max: 8 }) }),
  },
  { weight: 2, arbitrary: fc.record({ does: fc.constant('repeat' as const), member }) },
  { weight: 2, arbitrary: fc.record({ does: fc.constant('crash' as const), member, afterMs: fc.nat(4) }) },
  { weight: 1, arbitrary: fc.record({ does: fc.constant('replay' as const), place: fc.nat(7) }) },
);

/** What the source itself says of its orders, written apart from the read model's SQL. */
const sourceJoin = `
  SELECT o.id AS order_id, o.status, o.note, o.customer_id, c.name AS customer_name, c.email AS customer_email, c.tier AS customer_tier,
         count(i.id)::text AS item_count, coalesce(sum(i.quantity * i.unit_price), 0)::text AS total,
         coalesce(string_agg(concat_ws(':', i.id, i.product_id, p.sku, p.name, i.quantity, i.unit_price), ',' ORDER BY i.id), '') AS items
    FROM source.orders o
    LEFT JOIN source.customers c ON c.id = o.customer_id
    LEFT JOIN source.order_items i ON i.order_id = o.id
    LEFT JOIN source.products p ON p.id = i.product_id
   GROUP BY o.id, c.id ORDER BY o.id`;

const storedView = `
  SELECT order_id, status, note, customer_id, customer_name, customer_email, customer_tier, item_count::text, total::text,
         coalesce((SELECT string_agg(concat_ws(':', i->>'id', i->>'product_id', i->>'sku', i->>'name', i->>'quantity', i->>'unit_price'), ','
                                     ORDER BY (i->>'id')::bigint) FROM jsonb_array_elements(items) i), '') AS items
    FROM model.order_view ORDER BY order_id`;

async function assertModelIsSource({ read }: DirectModel): Promise<void> {
  for (const table of ['customers', 'products', 'orders', 'order_items']) {
    const stored = await read.query(`SELECT (to_jsonb(t) - '_lsn')::text AS row FROM model.${table} t ORDER BY id`);
    assert.deepEqual(stored, await read.query(`SELECT to_jsonb(t)::text AS row FROM source.${table} t ORDER BY id`), table);
  }
  assert.deepEqual(await read.query(storedView), await read.query(sourceJoin));
  assert.deepEqual(await read.query(`SELECT * FROM model.parked_events WHERE state = 'parked'`), []);
}

async function take(direct: DirectModel, world: SourceWorld, members: readonly Member[], one: Step): Promise<void> {
  const places = [...world.log.keys()];
  const placeOf = (number: number): string => places[number % places.length] ?? '';
  if (one.does === 'change') {
    for (const operation of one.operations) await world.change(operation);
    return;
  }
  if (one.does === 'replay') {
    // As after a restore: an earlier position, and an epoch that nobody holds.
    const [topic, partition] = placeOf(one.place).split('/');
    await direct.read.query('UPDATE model.applied_offsets SET next_offset = 0, epoch = epoch + 1 WHERE topic = $1 AND partition = $2', [
      topic,
      partition,
    ]);
    return members[0]?.claim([placeOf(one.place)]);
  }
  const chosen = members[one.member];
  if (chosen === undefined) return;
  if (one.does === 'advance') {
    for (let place = one.from; place < one.from + one.places; place += 1) chosen.advance(placeOf(place), one.count);
    await delay(0);
  } else if (one.does === 'rebalance') await chosen.claim(places.slice(one.from, one.from + one.count));
  else if (one.does === 'repeat') assert.notEqual(await chosen.repeat().catch(() => 'died'), 'applied', 'a batch was applied twice');
  else {
    await delay(one.afterMs);
    await chosen.crash();
  }
}

async function run(direct: DirectModel, steps: readonly Step[]): Promise<void> {
  const { read } = direct;
  const stored = 'customers, products, orders, order_items, order_view, applied_offsets, apply_log, parked_events';
  await read.query(`TRUNCATE ${stored.replaceAll(/\w+/g, 'model.$&')}; UPDATE model.mirrored_tables SET truncated_lsn = NULL`);
  const world = await createSourceWorld(read);
  const places = [...world.log.keys()];
  for (const place of places) {
    const [table = '', partition] = place.split('/');
    await direct.place(table, Number(partition));
  }
  await using first = createMember(direct, world);
  await using second = createMember(direct, world);
  const members = [first, second];
  await first.claim(places);
  for (const one of steps) await take(direct, world, members, one);
  // In the end somebody holds every partition and reads it to its end.
  await Promise.all(members.map((one) => one.settled()));
  await first.claim(places);
  for (const place of places) first.advance(place, 10_000);
  await first.settled();
  await assertModelIsSource(direct);
}

test(
  `whatever happens to source, members and connections, the model ends as the source’s own join (seed ${seed}, ${numRuns} runs)`,
  { timeout: limitMs },
  async () => {
    await using direct = await createDirectModel();
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 30, maxLength: 80, size: 'max' }), (steps) => run(direct, steps)),
      { seed, numRuns, endOnFailure },
    );
  },
);
