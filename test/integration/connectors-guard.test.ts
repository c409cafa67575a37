import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { Client, type ClientConfig } from 'pg';
import { connectClient } from '#connectors/index.ts';
import { dropSlotByForce } from '#connectors/guard/drop-slot.ts';
import { connectorsTerminal, type RunningCommand, type Terminal } from '#test/support/terminal.ts';
import { type TestConnector, startTestConnector, testConnectAccess } from '#test/support/connect.ts';
import { createLegacyDatabase, type LegacyDatabase } from '#test/support/legacy-database.ts';
import { testStack } from '#test/support/stack.ts';
import { eventually } from '#test/support/read-database.ts';
import { takeSlot } from '#test/support/take-slot.ts';

type Event = { readonly event: string; readonly alarm?: string; readonly text: string };

/** A running connector of its own, with `cdc connectors …` on its file. */
type Bench = AsyncDisposable & {
  readonly db: LegacyDatabase;
  readonly connector: TestConnector;
  readonly terminal: (guard: Readonly<Record<string, number>>) => Terminal;
};

async function bench(): Promise<Bench> {
  const resources = new AsyncDisposableStack();
  const db = resources.use(await createLegacyDatabase());
  const overrides = {
    'heartbeat.interval.ms': '300',
    'slot.max.retries': '0',
    'slot.retry.delay.ms': '100',
    'producer.override.max.request.size': '200000',
  };
  const connector = resources.use(await startTestConnector({ database: db, tables: ['public.products'], overrides }));
  await connector.streaming();
  const folder = await mkdtemp(join(tmpdir(), 'guard-'));
  resources.defer(() => rm(folder, { recursive: true }));
  await writeFile(join(folder, 'orders.json'), JSON.stringify({ name: connector.name, config: connector.config }));
  const { kafka } = await testStack();
  const access = await testConnectAccess();
  return {
    db,
    connector,
    terminal: (guard) =>
      connectorsTerminal(
        {
          legacyDb: db.config,
          kafka: { brokers: kafka.brokers, replicationFactor: 1 },
          connect: {
            ...access,
            connectors: ['orders.json'],
            topicPrefix: connector.prefix,
            guard: { intervalMs: 200, restartBackoffMs: 200, ...guard },
          },
        },
        folder,
      ),
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}

function events(watch: RunningCommand): Event[] {
  return watch.printed.map((line) => {
    const event: unknown = JSON.parse(line);
    assert.ok(typeof event === 'object' && event !== null && 'event' in event && 'text' in event);
    const alarm = 'alarm' in event && typeof event.alarm === 'string' ? { alarm: event.alarm } : {};
    return { event: String(event.event), text: String(event.text), ...alarm };
  });
}

async function until(what: () => string, condition: () => boolean | Promise<boolean>, timeoutMs = 60_000): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (!(await condition())) {
    assert.ok(Date.now() < deadline, `not within ${timeoutMs} ms: ${what()}`);
    await delay(50);
  }
}

const text = (watch: RunningCommand): string => [...watch.printed, ...watch.progress].join('\n');

function restarts(watch: RunningCommand): number {
  return events(watch).filter(({ event }) => event === 'restart').length;
}

test('a task that FAILED is restarted with growing waits until it runs again or a person is called, and metrics show it', async (t) => {
  await using made = await bench();
  const { db, connector, terminal } = made;
  const { client, name } = connector;
  const labels = `connector="${name}"`;
  await client.stop(name);
  await until(
    () => 'stopped',
    async () => (await client.status(name))?.tasks.length === 0,
  );
  await db.query(`DROP PUBLICATION ${connector.publication}`);
  await client.resume(name);

  await t.test('what no restart fixes is restarted up to the maximum, then left to a person', async () => {
    await using watch = terminal({ restartMax: 1 }).start('watch', '--json');
    await until(
      () => text(watch),
      () => events(watch).some(({ alarm }) => alarm === 'given-up'),
    );
    assert.equal(restarts(watch), 1);
    assert.match(events(watch).find(({ alarm }) => alarm === 'failed')?.text ?? '', /[Pp]ublication/);
    const look = await terminal({}).run('watch', '--once');
    assert.equal(look.exitCode, 1);
    assert.match(look.printed, /ERROR failed: .*[Pp]ublication/);
    assert.match((await terminal({}).run('list')).printed, new RegExp(`^${name}  RUNNING, task 0 FAILED$`, 'm'));
  });

  await t.test('once the cause is gone, the next restart brings it back', async () => {
    await using watch = terminal({}).start('watch', '--json', '--metrics-port', '0');
    await until(
      () => text(watch),
      () => restarts(watch) >= 1,
    );
    const url = /http\S+/.exec(watch.progress.join('\n'))?.[0] ?? '';
    const metrics = async (): Promise<string> => (await fetch(url)).text();
    assert.ok((await metrics()).includes(`cdc_connector_alarm{${labels},alarm="failed"} 1`));
    await terminal({}).run('prepare');
    await until(
      () => text(watch),
      async () => (await metrics()).includes(`cdc_connector_running{${labels}} 1`),
    );
    assert.ok(events(watch).some(({ event, alarm }) => event === 'clear' && alarm === 'failed'));
    assert.match(await metrics(), new RegExp(`cdc_connector_restarts_total\\{${labels}\\} [1-9]`));
    assert.match(await metrics(), new RegExp(`cdc_connector_slot_retained_bytes\\{${labels}\\} \\d+`));
    assert.match(await metrics(), new RegExp(`cdc_connector_alarm\\{${labels},alarm="failed"\\} 0`));
  });
});

test('a connector that Connect calls RUNNING but that captures nothing is known by its heartbeat', async () => {
  await using made = await bench();
  const { db, connector, terminal } = made;
  await using watch = terminal({ warnHeartbeatMs: 2000 }).start('watch', '--json');
  {
    const { name, publication } = connector;
    await using thief = await takeSlot(db.replicator, name, publication);
    assert.ok(thief);
    await until(
      () => text(watch),
      () => events(watch).some(({ alarm }) => alarm === 'heartbeat'),
    );
    const status = await connector.client.status(connector.name);
    assert.deepEqual([status?.connector.state, status?.tasks.map(({ state }) => state).join()], ['RUNNING', 'RUNNING']);
  }
  await until(
    () => text(watch),
    () => events(watch).some(({ event, alarm }) => event === 'clear' && alarm === 'heartbeat'),
  );
});

test('a connector whose heartbeat waits for a lock in the source is RUNNING and halts; watch and status say since when, and what to look for', async () => {
  await using made = await bench();
  const { db, connector, terminal } = made;
  await using owner = await lockHolder(db.owner);
  await using watch = terminal({ warnHeartbeatMs: 2000 }).start('watch', '--json');
  // Whoever reads it goes on; the connector's UPDATE waits.
  await owner.query('BEGIN; LOCK TABLE cdc.heartbeat IN SHARE MODE');
  await until(
    () => text(watch),
    () => events(watch).some(({ alarm }) => alarm === 'heartbeat'),
  );
  // Of the last beat the position may be on its way when the alarm comes.
  let before = await connector.client.offsets(connector.name);
  await until(
    () => `the position does not move: ${JSON.stringify(before)}`,
    async () => {
      const last = before;
      await delay(1000);
      before = await connector.client.offsets(connector.name);
      return isDeepStrictEqual(before, last);
    },
  );
  await db.query("INSERT INTO customers (email, name) VALUES ('late@example.org', 'Late')");
  const status = await connector.client.status(connector.name);
  assert.deepEqual([status?.connector.state, status?.tasks.map(({ state }) => state).join()], ['RUNNING', 'RUNNING']);
  assert.match(
    events(watch).find(({ alarm }) => alarm === 'heartbeat')?.text ?? '',
    /though the connector is RUNNING.*lock.*pg_blocking_pids/,
  );
  assert.match((await terminal({}).run('status')).printed, /heartbeat: \d+\.\d s ago/);
  assert.deepEqual(await connector.client.offsets(connector.name), before, 'the position halts');
  await owner.query('ROLLBACK');
  await until(
    () => text(watch),
    () => events(watch).some(({ event, alarm }) => event === 'clear' && alarm === 'heartbeat'),
  );
});

test('a table that left the publication goes on being called RUNNING by everybody; watch and status say that it is not captured', async () => {
  await using made = await bench();
  const { db, connector, terminal } = made;
  await db.query(`ALTER PUBLICATION ${connector.publication} DROP TABLE products`);
  const look = await terminal({}).run('watch', '--once');
  assert.match(look.printed, /ERROR unpublished: public\.products not in publication \w+: its changes are not captured, and lost/);
  assert.equal(look.exitCode, 1);
  const status = await terminal({}).run('status');
  assert.match(status.printed, /^\w+: RUNNING, 1 of 1 tasks RUNNING\n {2}LOSS: public\.products not in publication/);
  assert.equal(status.exitCode, 1);
  await db.query(`DROP PUBLICATION ${connector.publication}`);
  const all = await terminal({}).run('watch', '--once');
  assert.match(all.printed, /ERROR unpublished: public\.products, cdc\.heartbeat, cdc\.signal not in publication/);
});

test('a slot over the limit is warned of; by policy it is dropped, watch, status and apply report the loss, and a reset ends it', async (t) => {
  await using made = await bench();
  const { db, connector, terminal } = made;
  const { client, name } = connector;
  const slots = async (): Promise<number> => (await db.query('SELECT FROM pg_replication_slots WHERE slot_name = $1', [name])).length;
  await client.pause(name);
  // WAL that the paused connector does not confirm.
  await db.queryAs(db.superuser, `SELECT pg_logical_emit_message(true, 'filler', repeat('x', 1000000)) FROM generate_series(1, 12)`);
  const limits = { warnBytes: 1_000_000, dropSlotBytes: 10_000_000 };

  await t.test('without a policy it is only warned of', async () => {
    const { printed, exitCode } = await terminal({ warnBytes: 1_000_000 }).run('watch', '--once');
    assert.match(printed, /WARNING retention: slot \w+ keeps [\d.]+ MiB of WAL on the source's disk$/);
    assert.equal(exitCode, 1);
    assert.equal(await slots(), 1);
  });
  await t.test('by policy it is dropped, and the event names the slot, the size and what is lost', async () => {
    await using watch = terminal(limits).start('watch', '--json');
    await until(
      () => text(watch),
      () => events(watch).some(({ alarm }) => alarm === 'loss'),
    );
    const dropped = events(watch).find(({ event }) => event === 'slot-dropped');
    assert.match(
      dropped?.text ?? '',
      new RegExp(`DROPPED replication slot ${name} by policy .* MiB of WAL.*\\. every change after \\w+/\\w+ is lost`),
    );
    assert.equal(await slots(), 0);
    assert.equal((await client.status(name))?.connector.state, 'STOPPED');
  });
  await t.test('status reports the loss and is bad news', async () => {
    const { printed, exitCode } = await terminal({}).run('status');
    assert.match(printed, /LOSS: replication slot \w+ does not exist any more: the changes after \w+\/\w+ are lost/);
    assert.equal(exitCode, 1);
  });
  await t.test('apply does not pass over it', async () => {
    await assert.rejects(terminal({}).run('apply'), { code: 'CONNECTOR_EVENTS_LOST', remedy: /offsets reset/ });
  });
  await t.test('after a reset it captures again, and nothing is amiss', async () => {
    await terminal({}).run('offsets', 'reset', name, '--drop-slot');
    await client.resume(name);
    await connector.streaming();
    await until(
      () => 'well',
      async () => (await terminal({}).run('watch', '--once')).exitCode === 0,
    );
    assert.equal((await terminal({}).run('status')).exitCode, 0);
  });
});

test('with Connect out of reach, the connection that uses the slot is ended, and the slot dropped', async () => {
  await using made = await bench();
  const { db, connector } = made;
  const { name, config, slot } = connector;
  const slots = (): Promise<unknown[]> => db.query('SELECT active FROM pg_replication_slots WHERE slot_name = $1', [slot]);
  await eventually(slots, (found) => JSON.stringify(found) === '[{"active":"t"}]');
  const client = connectClient({ url: 'http://127.0.0.1:1' });
  assert.equal(await dropSlotByForce({ name, config, client, source: db.replicator }, slot, AbortSignal.timeout(60_000)), true);
  assert.deepEqual(await slots(), []);
});

async function lockHolder(login: ClientConfig): Promise<AsyncDisposable & Pick<Client, 'query'>> {
  const client = new Client(login);
  await client.connect();
  return Object.assign(client, { [Symbol.asyncDispose]: () => client.end() });
}
