import assert from 'node:assert/strict';
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import pino from 'pino';
import { loadConfig } from '#pipeline/index.ts';
import { waitFor } from '#stack/index.ts';
import { followFiles } from '../../cli/follow-files.ts';

let folder: string;
let lines: string[];
let ended: Error[];
const yaml = (brokers: string, comment = ''): string =>
  `legacyDb: { host: h, database: d, roles: { poller: { user: p, password: p } } }\nkafka: { brokers: '${brokers}' } ${comment}\n`;
const file = (): string => join(folder, 'pipeline.yaml');
/** As an editor saves. */
const save = async (text: string): Promise<void> => {
  await writeFile(`${file()}.new`, text);
  await rename(`${file()}.new`, file());
};
const load = (): ReturnType<typeof loadConfig> => loadConfig(file(), {});
const said = (pattern: RegExp): Promise<true> =>
  waitFor(async () => lines.some((line) => pattern.test(line)), {
    signal: AbortSignal.timeout(60_000),
    timeoutMs: 60_000,
    intervalMs: 20,
    describe: `a line that matches ${pattern.source}`,
  });
const follow = async (end = true): Promise<Disposable> =>
  followFiles({
    file: file(),
    config: await load(),
    load,
    more: [join(folder, 'connector.json')],
    logger: pino({}, { write: (line: string) => lines.push(line) }),
    end: end ? (reason) => ended.push(reason) : undefined,
    intervalMs: 20,
  });

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'cdc-follow-'));
  lines = [];
  ended = [];
  await save(yaml('a:1'));
  await writeFile(join(folder, 'connector.json'), '{}');
});
afterEach(() => rm(folder, { recursive: true }));

test('another setting in pipeline.yaml ends a program that is started again by others', async () => {
  using open = new DisposableStack();
  open.use(await follow());
  await save(yaml('b:1'));
  await said(/has changed: ending/);
  assert.equal(ended.length, 1);
});

test('a program that nobody starts again goes on, and says that it has the old settings', async () => {
  using open = new DisposableStack();
  open.use(await follow(false));
  await save(yaml('b:1'));
  await said(/has changed since this program started/);
});

test('what is not valid is logged and ends nothing; a comment is no change', async () => {
  using open = new DisposableStack();
  open.use(await follow());
  await save(yaml('a:1', '# only a comment'));
  await save('kafka: [');
  await said(/is not valid: going on with the settings from the start/);
  assert.deepEqual(ended, []);
  assert.equal(lines.length, 1, lines.join(''));
});

test('a further file that changes counts too', async () => {
  using open = new DisposableStack();
  open.use(await follow());
  await writeFile(join(folder, 'connector.json'), '{"name":"other"}');
  await said(/connector\.json has changed: ending/);
  assert.equal(ended.length, 1);
});
