import assert from 'node:assert/strict';
import { test } from 'node:test';
import { joinGroup, type GroupMembership } from '#cdc-poller/membership/group-membership.ts';
import { registerTables } from '#cdc-poller/membership/table-slots.ts';
import { silentLogger } from '#pipeline/index.ts';
import { waitFor } from '#stack/index.ts';
import { testKafka } from '#test/support/kafka.ts';
import { uniqueName } from '#test/support/stack.ts';

const tables = ['public.a', 'public.b', 'public.c'];

for (const client of ['kafkajs', 'platformatic'] as const) {
  test(`who joins is given tables that whoever had them gives up; who leaves gives them back (${client})`, async () => {
    const kafka = await testKafka(client);
    const pollerName = uniqueName('members');
    const signal = AbortSignal.timeout(150_000);
    const slots = await registerTables(kafka, pollerName, tables, { replicationFactor: 1, signal });
    const reported = new Map<string, { readonly tables: ReadonlySet<string>; readonly all: boolean }>();
    const join = (name: string): Promise<GroupMembership> =>
      joinGroup({
        kafka,
        pollerName,
        slots,
        sessionTimeoutMs: 6000,
        logger: silentLogger,
        onTables: (mine, all) => reported.set(name, { tables: mine, all }),
      });
    const untilShared = (...sizes: readonly number[]): Promise<true> =>
      waitFor(
        async () => {
          const shares = [...reported.values()];
          const had = shares.flatMap((share) => [...share.tables]);
          return shares.map((share) => share.tables.size).join() === sizes.join() && had.toSorted().join() === tables.join();
        },
        {
          signal,
          timeoutMs: 60_000,
          describe: () =>
            `shared as ${sizes.join()}, each table had once: ${JSON.stringify([...reported.entries()].map(([name, share]) => [name, [...share.tables]]))}`,
        },
      );
    await using stays = await join('stays');
    await untilShared(3);
    assert.equal(reported.get('stays')?.all, true);
    {
      await using leaves = await join('leaves');
      await untilShared(2, 1);
      assert.equal(reported.get('stays')?.all, false);
      assert.ok(leaves.isMember());
      await stays.confirmed(signal);
    }
    reported.delete('leaves');
    await untilShared(3);
    assert.equal(reported.get('stays')?.all, true);
    assert.ok(stays.isMember());
  });
}
