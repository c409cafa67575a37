import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { nodeFlags } from '#pipeline/index.ts';
import { Poison } from '#sdk/index.ts';
import { order, upsert } from '#test/support/order-events.ts';
import { eventually } from '#test/support/read-database.ts';
import { createService, record, type Handle, type Service } from '#test/support/sdk.ts';

const cli = new URL('../../cli.ts', import.meta.url).pathname;

type Ended = { readonly code: number | null; readonly out: string; readonly err: string };

/** `cdc consumer parked …` as an operator runs it: a process of its own, the database named by the environment. */
async function parked({ read }: Service, ...words: readonly string[]): Promise<Ended> {
  const { user, password, host, port, database } = read.owner;
  const url = `postgres://${user}:${String(password)}@${host}:${port}/${database}`;
  const child = spawn(process.execPath, [...nodeFlags, cli, 'consumer', 'parked', ...words], {
    env: { ...process.env, DATABASE_URL: url },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  const [out, err, code] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  return { code, out, err };
}

async function ids(service: Service): Promise<readonly string[]> {
  const { out } = await parked(service, 'list', '--json');
  const found: { id: string }[] = JSON.parse(out);
  return found.map(({ id }) => id);
}

test(
  'cdc consumer parked: an operator lists, shows, retries and discards what a service in another process has parked',
  { timeout: 120_000 },
  async () => {
    await using service = await createService({ partitions: 1 });
    let isFixed = false;
    const handle: Handle = async (changes, tx, context) => {
      const bad = changes.find(({ after }) => after?.['status'] === 'bad' || (after?.['status'] === 'later' && !isFixed));
      if (bad !== undefined) throw new Poison(bad, `no such customer of ${bad.offset}`);
      await record(changes, tx, context);
    };
    {
      await using consumer = await service.start(handle);
      // Key 1 waits until the handler is corrected, key 2 for ever.
      await service.send(
        upsert('orders', order(1, 1, 'later')),
        upsert('orders', order(1, 1, 'behind'), 'u'),
        upsert('orders', order(2, 1, 'bad')),
        upsert('orders', order(2, 1, 'good'), 'u'),
      );
      await service.caughtUp();
      const [later = '', behind = '', bad = ''] = await ids(service);
      const listed = await parked(service, 'list');
      assert.match(listed.out, /CONSUMER_POISON/);
      const shown = await parked(service, 'show', bad);
      assert.match(shown.out, /no such customer of 2/);
      assert.match(shown.out, /"status":"bad"/);
      const inVain = await parked(service, 'retry', later);
      assert.equal(inVain.code, 1, inVain.out + inVain.err);
      assert.match(inVain.out, /Handled 0 changes of 1 keys; 1 keys still wait/);
      isFixed = true;
      const retried = await parked(service, 'retry', behind);
      assert.equal(retried.code, 0, retried.out + retried.err);
      assert.match(retried.out, /Handled 2 changes of 1 keys/);
      assert.deepEqual(await service.effects(), ['0/0 create {"id":1} later', '0/1 update {"id":1} behind']);
      const discarded = await parked(service, 'discard', bad);
      assert.equal(discarded.code, 0, discarded.err);
      void consumer;
    }
    // Nobody runs: the request stays, and the next consumer takes it up.
    const waits = await parked(service, 'retry', '--wait', '100');
    assert.equal(waits.code, 75);
    assert.match(waits.err, /CONSUMER_RETRY_WAITS/);
    await using next = await service.start(handle);
    await eventually(
      () => service.effects(),
      (effects) => effects.at(-1) === '0/3 update {"id":2} good',
    );
    assert.deepEqual(await ids(service), []);
    void next;
  },
);

test('what cannot be is refused: an id that is not parked, a schema without a consumer', { timeout: 60_000 }, async () => {
  await using service = await createService({ partitions: 1 });
  const none = await parked(service, 'list');
  assert.equal(none.code, 78);
  assert.match(none.err, /CONSUMER_NOT_MIGRATED.*no tables of a consumer/s);
  await using consumer = await service.start();
  for (const words of [
    ['retry', '17'],
    ['show', '17'],
    ['discard', '17'],
  ]) {
    const refused = await parked(service, ...words);
    assert.equal(refused.code, 64, refused.out + refused.err);
    assert.match(refused.err, /CONSUMER_PARKED_UNKNOWN/);
  }
  void consumer;
});
