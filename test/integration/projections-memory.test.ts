import assert from 'node:assert/strict';
import { test } from 'node:test';
import { migrateOrders } from '#test/support/order-mirrors.ts';
import { createReadDatabase } from '#test/support/read-database.ts';

/** What a container of the application may have is 512 MiB. */
const mostMiB = 300;

test('projections are checked in the memory of a small container, one model after the other', async () => {
  await using read = await createReadDatabase();
  for (const schema of ['one', 'two', 'three', 'four']) await migrateOrders(read.owner, schema);
  const peak = process.resourceUsage().maxRSS / 1024;
  assert.ok(peak < mostMiB, `${Math.round(peak)} MiB`);
});
