import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { mariadb } from '#cdc-poller/mariadb/dialect.ts';
import { postgres } from '#cdc-poller/postgres/dialect.ts';
import type { SourceSession } from '#cdc-poller/source/dialect.ts';
import { CdcError } from '#pipeline/index.ts';
import { createLegacyDatabase } from '#test/support/legacy-database.ts';
import { createMariadbScene, whyNoMariadb } from '#test/support/mariadb.ts';
import { createMuteProxy } from '#test/support/mute-proxy.ts';

/**
 * A network that is cut says nothing, and the server's own limits cannot reach the poller any more: it must count by itself. Keep-alive does not
 * help here: the proxy's system answers it, as that of a hung machine does.
 */
const questions: readonly (readonly [what: string, ask: (session: SourceSession) => Promise<unknown>])[] = [
  ['the poll’s first questions', (session) => session.observe()],
  ['a page', (session) => session.page({ text: 'SELECT 1', values: [] })],
  ['another query', (session) => session.query('SELECT 1')],
  ['the columns of a query', (session) => session.describe('SELECT 1')],
];
/** What the sessions are reported, in ms, and when they must have given up: that and 5 s, with room for a busy machine. */
const statementTimeoutMs = 100;
const latestMs = 12_000;

/** How each question ends that is asked, over a session of its own, after the way to the server has been cut. */
async function askInVain(
  server: { readonly host: string; readonly port: number },
  open: (port: number) => Promise<SourceSession>,
): Promise<readonly string[]> {
  await using proxy = await createMuteProxy(server);
  const over = new AbortController();
  await using sessions = new AsyncDisposableStack();
  const opened: SourceSession[] = [];
  for (const _ of questions) opened.push(sessions.use(await open(proxy.port)));
  proxy.mute();
  const late = delay(latestMs, 'waits still', { signal: over.signal });
  late.catch(() => undefined);
  try {
    return await Promise.all(
      questions.map(async ([what, ask], index) => {
        const session = opened[index];
        assert.ok(session);
        return `${what}: ${await Promise.race([ask(session).then(() => 'answered', codeOf), late])}`;
      }),
    );
  } finally {
    over.abort();
  }
}

function codeOf(error: unknown): string {
  return error instanceof CdcError ? error.code : String(error);
}

const givenUp = questions.map(([what]) => `${what}: LEGACY_DB_UNREACHABLE`);

test('a Postgres that falls silent is given up, whatever it was asked', async () => {
  await using database = await createLegacyDatabase({ empty: true });
  const { config } = database;
  assert.deepEqual(await askInVain(config, (port) => postgres.openSession({ ...config, port }, 'silent', statementTimeoutMs)), givenUp);
});

const skip = process.env['TEST_NIGHTLY'] === '1' ? false : 'takes 15 s: set TEST_NIGHTLY=1';

test('a silent Postgres is missed by the poll’s first questions after 15 s, however long a page may take', { skip }, async () => {
  await using database = await createLegacyDatabase({ empty: true });
  await using proxy = await createMuteProxy(database.config);
  await using session = await postgres.openSession({ ...database.config, port: proxy.port }, 'silent', 60_000);
  proxy.mute();
  const over = new AbortController();
  const late = delay(20_000, 'waits still', { signal: over.signal });
  late.catch(() => undefined);
  assert.equal(await Promise.race([session.observe().then(() => 'answered', codeOf), late]), 'LEGACY_DB_UNREACHABLE');
  over.abort();
});

suite('MariaDB', { skip: (await whyNoMariadb()) ?? false }, () => {
  test('a MariaDB that falls silent is given up, whatever it was asked', async () => {
    await using scene = await createMariadbScene([], { tables: [{ table: 't' }] });
    const { legacyDb } = scene.config;
    assert.deepEqual(
      await askInVain(legacyDb, (port) => mariadb.openSession({ ...legacyDb, port }, 'silent', statementTimeoutMs)),
      givenUp,
    );
  });
});
