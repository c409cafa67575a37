import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { inTransaction, queryText } from '#read-model/database.ts';
import { orderView } from '#test/support/order-view-by-hand.ts';
import { createDirectModel, type DirectModel } from '#test/support/direct-apply.ts';
import { check } from '#test/support/projection-scene.ts';

const orders = 200_000;
const rounds = 9;

async function fill({ read }: DirectModel): Promise<void> {
  await read.query(`
    INSERT INTO model.customers SELECT n, 'c' || n, 'c' || n, 'basic', 1, now(), now(), 1 FROM generate_series(1, 20000) n;
    INSERT INTO model.products SELECT n, 'p' || n, 'p' || n, NULL, 1, true, now(), 1 FROM generate_series(1, 2000) n;
    INSERT INTO model.orders SELECT n, 1 + n % 20000, 'new', NULL, now(), now(), 1 FROM generate_series(1, ${orders}) n;
    INSERT INTO model.order_items SELECT n, 1 + n::bigint * 7919 % ${orders}, 1 + n % 2000, 1, 2.5, now(), 1 FROM generate_series(1, ${orders * 5}) n`);
  await read.query('ANALYZE');
}

async function timeOf(direct: DirectModel, upkeep: readonly string[], keys: string): Promise<number> {
  return inTransaction(direct.pool, 'model', async (client) => {
    const began = performance.now();
    for (const statement of upkeep) await queryText(client, statement, [keys]);
    return performance.now() - began;
  });
}

function median(times: readonly number[]): number {
  return times.toSorted((a, b) => a - b)[Math.floor(times.length / 2)] ?? 0;
}

/** It asserts no time: what it says is for docs/projections.md. */
const skip = process.env['TEST_NIGHTLY'] === '1' ? false : 'with TEST_NIGHTLY=1';

test('the sample’s view by its file beside the one by hand: the same orders made again in turn', { skip, timeout: 600_000 }, async (t) => {
  await using direct = await createDirectModel();
  await fill(direct);
  const { projections } = await check(direct, {
    order_view: await readFile(new URL('../../projections/order_view.sql', import.meta.url), 'utf8'),
  });
  const [derived] = projections;
  for (const count of [1, 8, 20, 50, 100, 1000, 5000]) {
    const byHand: number[] = [];
    const byFile: number[] = [];
    const ofMany: number[] = [];
    for (let round = 0; round < rounds; round += 1) {
      const keys = `{${Array.from({ length: count }, (_, index) => 1 + ((round * 1000 + index * 104_729) % orders)).join(',')}}`;
      // Each of the two meets the rows that the other left, so each is first as often.
      const turns = [
        async () => byHand.push(await timeOf(direct, orderView.upkeep, keys)),
        async () => byFile.push(await timeOf(direct, derived?.upkeep ?? [], keys)),
        async () => ofMany.push(await timeOf(direct, derived?.upkeepOfMany ?? [], keys)),
      ];
      for (const turn of round % 2 === 0 ? turns : turns.toReversed()) await turn();
    }
    const [hand, file, all] = [median(byHand), median(byFile), median(ofMany)];
    t.diagnostic(
      `${count} orders: by hand ${hand.toFixed(1)} ms, by file ${file.toFixed(1)} ms key by key (${(file / hand).toFixed(2)}), ${all.toFixed(1)} ms all together (${(all / hand).toFixed(2)})`,
    );
  }
});
