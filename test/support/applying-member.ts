import type { Pool } from 'pg';
import { postgresClientConfig, silentLogger } from '#pipeline/index.ts';
import { createBatchScheduler, type ApplyOutcome, type BatchScheduler } from '#read-model/apply/batch-scheduler.ts';
import { openPool } from '#read-model/database.ts';
import type { DirectModel } from './direct-apply.ts';
import { uniqueName } from './stack.ts';
import { partitions, type SourceWorld } from './source-world.ts';

type Held = { next: number; epoch: number; busy: Promise<unknown> };

/**
 * A member of the read model's group, without Kafka: it holds partitions as it believes, reads their logs from the offset that the database
 * gave it, and submits to a scheduler of its own. It can lose partitions without hearing of it, and die at any moment.
 */
export type Member = AsyncDisposable & {
  /** Takes partitions over, as on assignment; the former holder does not hear of it. */
  claim(places: readonly string[]): Promise<void>;
  /** Submits the next messages of a partition, if it believes to hold it and has none on their way. Does not wait. */
  advance(place: string, count: number): void;
  /** Submits once more what it has submitted before. */
  repeat(): Promise<ApplyOutcome | 'nothing'>;
  /** Dies wherever it is, connections and all, and starts again holding nothing. */
  crash(): Promise<void>;
  /** Resolves when nothing is on its way. */
  settled(): Promise<void>;
};

export function createMember(direct: DirectModel, world: SourceWorld): Member {
  const life = (): { readonly name: string; readonly pool: Pool; readonly stop: AbortController; readonly scheduler: BatchScheduler } => {
    const name = uniqueName('member');
    const pool = openPool(postgresClientConfig(direct.read.config, direct.read.config, name), silentLogger, 2);
    const stop = new AbortController();
    return { name, pool, stop, scheduler: createBatchScheduler(pool, direct.model, silentLogger, stop.signal) };
  };
  let current = life();
  let held = new Map<string, Held>();
  let last: {
    readonly table: string;
    readonly partition: number;
    readonly from: number;
    readonly to: number;
    readonly epoch: number;
  } | null = null;

  const submit = (table: string, partition: number, from: number, to: number, epoch: number): Promise<ApplyOutcome> => {
    const messages = (world.log.get(`${table}/${partition}`) ?? []).slice(from, to);
    return current.scheduler.submit(direct.batch(table, from, messages, { partition, epoch }));
  };

  return {
    async claim(places) {
      for (const place of places) {
        const [topic, partition] = place.split('/');
        const [row] = await direct.read.query(
          'UPDATE model.applied_offsets SET epoch = epoch + 1 WHERE topic = $1 AND partition = $2 RETURNING next_offset, epoch',
          [topic, partition],
        );
        held.set(place, { next: Number(row?.['next_offset']), epoch: Number(row?.['epoch']), busy: Promise.resolve() });
      }
    },
    advance(place, count) {
      const mine = held;
      const holding = mine.get(place);
      const [table = '', partition] = place.split('/');
      const from = holding?.next ?? 0;
      const to = Math.min(from + count, world.log.get(place)?.length ?? 0);
      if (holding === undefined || to <= from) return;
      const number = Number(partition) % partitions;
      last = { table, partition: number, from, to, epoch: holding.epoch };
      holding.next = to;
      const before = holding.busy;
      const work = async (): Promise<void> => {
        await before;
        // Only its own death fails a submission; what it held then is forgotten.
        const outcome = await submit(table, number, from, to, holding.epoch).catch(() => 'died');
        // Claimed again meanwhile, it is held under another epoch: the old submission's end says nothing of that.
        if (outcome !== 'applied' && mine.get(place) === holding) mine.delete(place);
      };
      holding.busy = work();
    },
    async repeat() {
      if (last === null) return 'nothing';
      const { table, partition, from, to, epoch } = last;
      await held.get(`${table}/${partition}`)?.busy;
      return submit(table, partition, from, to, epoch);
    },
    async crash() {
      const { name, pool, stop } = current;
      stop.abort(new Error('crash'));
      held = new Map();
      last = null;
      await direct.read.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1', [name]);
      await pool.end();
      current = life();
    },
    async settled() {
      await Promise.all([...held.values()].map(({ busy }) => busy));
    },
    async [Symbol.asyncDispose]() {
      current.stop.abort();
      await current.pool.end();
    },
  };
}
