import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { createReadModel } from '#test/support/read-model.ts';
import { testStack } from '#test/support/stack.ts';
import { usageOf } from '../harness/process-usage.ts';

export type ApplyFigures = { readonly rowsPerSecond: number; readonly cpuSecondsPer100k: number };

const limitMs = 120_000;

/** Lets a read model of its own (mirror alone, no view hangs on it) apply a topic from its beginning: from the first visible rows to the last.
 * The topic goes with the model. */
export async function applyTopic(prefix: string, rows: number): Promise<ApplyFigures> {
  const { schemaRegistry } = await testStack();
  await using model = await createReadModel({ topics: false, prefix, schemaRegistry });
  const { read } = model;
  await read.query('CREATE TABLE model.plain_orders (LIKE model.orders INCLUDING ALL)');
  await read.query("UPDATE model.mirrored_tables SET mirror_table = 'plain_orders' WHERE source_table = 'orders'");
  const child = model.spawn();
  if (child.pid === undefined) throw new Error('the read model could not be started');
  const { pid } = child;
  const exited = once(child, 'exit');
  const deadline = performance.now() + limitMs;
  const until = async (least: number): Promise<number> => {
    for (;;) {
      // Offsets and rows are one transaction, and counting the rows would cost the server more than applying them.
      const [row] = await read.query('SELECT coalesce(sum(next_offset), 0) AS applied FROM model.applied_offsets');
      const applied = Number(row?.['applied']);
      if (applied >= least) return applied;
      if (child.exitCode !== null) throw new Error(`the read model ended with ${child.exitCode}`);
      if (performance.now() > deadline) throw new Error(`${applied} of ${least} offsets after ${limitMs / 1000} s`);
      await delay(10);
    }
  };
  try {
    const ends = await model.admin.offsetsOf(model.topic('orders'));
    const first = await until(1);
    const [started, before] = [performance.now(), await usageOf(pid)];
    const all = Number(ends.reduce((sum, { high }) => sum + high, 0n));
    await until(all);
    const [seconds, after] = [(performance.now() - started) / 1000, await usageOf(pid)];
    const [row] = await read.query('SELECT count(*) AS number FROM model.plain_orders');
    if (Number(row?.['number']) !== rows) throw new Error(`${row?.['number'] ?? 'no'} rows instead of ${rows}`);
    const applied = rows * (1 - first / all);
    return { rowsPerSecond: applied / seconds, cpuSecondsPer100k: ((after.cpuSeconds - before.cpuSeconds) / applied) * 100_000 };
  } finally {
    child.kill('SIGTERM');
    await exited;
  }
}
