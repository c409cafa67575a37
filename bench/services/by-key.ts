/**
 * One row by key: the query API beside a bare fastify handler and beside the same query sent straight to Postgres, in turn in one run:
 * `npm run bench:services [-- <seconds> <rounds>]`. Writes bench/results/services.md.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import autocannon from 'autocannon';
import { Pool } from 'pg';
import { postgresClientConfig } from '#pipeline/index.ts';
import { createQueryApiScene, type QueryApiScene } from '#test/support/query-api.ts';
import { testStack } from '#test/support/stack.ts';
import { describeLoad, describeMachine } from '../harness/machine.ts';
import { usageOf } from '../harness/process-usage.ts';
import { withBenchStack } from '../harness/stack.ts';
import { percentile, spread } from '../harness/statistics.ts';

const seconds = Number(process.argv[2] ?? 8);
const rounds = Number(process.argv[3] ?? 5);
const connections = 10;
const rows = 100_000;

type Figures = {
  readonly rate: number;
  readonly p50: number;
  readonly p99: number;
  /** Of the server, per 100,000 requests. */ readonly cpu: number;
};
type Contender = { readonly name: string; run(): Promise<Figures> };
type Child = AsyncDisposable & { readonly pid: number; readonly port: number };

const stop = new AbortController();
for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => stop.abort(new Error(`stopped by ${name}`)));
const say = (line: string): void => void process.stdout.write(`${line}\n`);

async function start(file: string, variables: Readonly<Record<string, string>>): Promise<Child> {
  const child = spawn(process.execPath, [join(import.meta.dirname, file)], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ...variables },
  });
  const [line] = await once(child.stdout.setEncoding('utf8'), 'data');
  return {
    pid: child.pid ?? 0,
    port: Number(line),
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await once(child, 'exit');
    },
  };
}

/** Keys all over the table, the same ones for all. */
const keys = Array.from({ length: 1000 }, (_, index) => 1 + ((index * 7919) % rows));

function overHttp(name: string, { pid, port }: Child): Contender {
  return {
    name,
    async run() {
      const before = await usageOf(pid);
      const result = await autocannon({
        url: `http://127.0.0.1:${port}`,
        requests: keys.map((key) => ({ method: 'GET', path: `/v1/orders/${key}` })),
        connections,
        duration: seconds,
      });
      if (result.errors + result.non2xx > 0) throw new Error(`${name}: ${result.errors} errors, ${result.non2xx} other answers`);
      const cpu = (await usageOf(pid)).cpuSeconds - before.cpuSeconds;
      const { total } = result.requests;
      return { rate: total / result.duration, p50: result.latency.p50, p99: result.latency.p99, cpu: (cpu / total) * 100_000 };
    },
  };
}

/** Without HTTP and without another process: what the database and its client give. */
function straight(name: string, pool: Pool): Contender {
  return {
    name,
    async run() {
      const times: number[] = [];
      const before = process.cpuUsage();
      const began = performance.now();
      await Promise.all(
        Array.from({ length: connections }, async (_, of) => {
          for (let index = of; performance.now() - began < seconds * 1000; index += connections) {
            const asked = performance.now();
            await pool.query({
              name: 'by-key',
              text: 'SELECT row_to_json(o)::text AS row FROM model.orders o WHERE id = $1',
              values: [keys[index % keys.length]],
            });
            times.push(performance.now() - asked);
          }
        }),
      );
      const { user, system } = process.cpuUsage(before);
      const duration = (performance.now() - began) / 1000;
      return {
        rate: times.length / duration,
        p50: percentile(times, 0.5),
        p99: percentile(times, 0.99),
        cpu: ((user + system) / 1e6 / times.length) * 100_000,
      };
    },
  };
}

const names = { api: 'query API', minimal: 'bare fastify and pg', straight: 'straight to Postgres' } as const;

async function compare(scene: QueryApiScene): Promise<ReadonlyMap<string, readonly Figures[]>> {
  await using opened = new AsyncDisposableStack();
  const { read } = scene.model;
  await read.query(
    `INSERT INTO model.orders SELECT n, 1 + n % 1000, 'new', 'a note of some length', now(), now(), 1 FROM generate_series(1, ${rows}) n`,
  );
  await read.query('ANALYZE model.orders');
  const { user = '', password = '' } = read.owner;
  const { readServer } = await testStack();
  const database = `postgres://${user}:${encodeURIComponent(String(password))}@${readServer.host}:${readServer.port}/${read.name}`;
  const config = scene.config({ connections });
  const api = opened.use(await start('api.ts', { BENCH_CONFIG: JSON.stringify(config) }));
  const minimal = opened.use(await start('minimal.ts', { BENCH_DATABASE: database, BENCH_CONNECTIONS: String(connections) }));
  const pool = new Pool({
    ...postgresClientConfig({ ...readServer, database: read.name }, { user, password: String(password) }, 'bench'),
    max: connections,
  });
  opened.defer(() => pool.end());
  const contenders = [overHttp(names.api, api), overHttp(names.minimal, minimal), straight(names.straight, pool)];
  const figures = new Map<string, Figures[]>(contenders.map(({ name }) => [name, []]));
  for (let round = 0; round <= rounds; round += 1) {
    for (const contender of contenders) {
      stop.signal.throwIfAborted();
      const { name } = contender;
      const measured = await contender.run();
      say(
        `${round === 0 ? 'warm-up' : `round ${round}`}, ${name}: ${Math.round(measured.rate)} requests/s, p99 ${measured.p99.toFixed(1)} ms`,
      );
      if (round > 0) figures.get(name)?.push(measured);
    }
  }
  return figures;
}

function page(figures: ReadonlyMap<string, readonly Figures[]>, loadBefore: string): string {
  const lines = [...figures].map(([name, measured]) => {
    const of = (pick: (one: Figures) => number, digits = 0): string => spread(measured.map(pick), digits);
    return `| ${name} | ${of(({ rate }) => rate)} | ${of(({ p50 }) => p50, 1)} | ${of(({ p99 }) => p99, 1)} | ${of(({ cpu }) => cpu, 1)} |`;
  });
  /** Of each round, whose two runs follow one another. */
  const ratio = (ours: string, theirs: string): string => {
    const others = figures.get(theirs) ?? [];
    const ratios = (figures.get(ours) ?? []).flatMap(({ rate }, round) => {
      const other = others[round];
      return other === undefined ? [] : [rate / other.rate];
    });
    return spread(ratios, 2);
  };
  return [
    '# One row by key over HTTP',
    '',
    `${new Date().toISOString().slice(0, 10)}, ${describeMachine()}. Load average ${loadBefore} before, ${describeLoad()} after. The load's own process shares the machine.`,
    '',
    `${connections} connections, ${seconds} s each, in turn; medians of ${rounds} rounds (lowest–highest) after a warm-up. ${rows.toLocaleString('en-US')} rows. Made by \`npm run bench:services\`.`,
    '',
    '| | requests/s | p50, ms | p99, ms | CPU s of the server’s process per 100k |',
    '|---|---|---|---|---|',
    ...lines,
    '',
    `- ${names.api}, beside ${names.minimal}: ${ratio(names.api, names.minimal)} of its rate, round by round`,
    `- ${names.api}, beside ${names.straight}: ${ratio(names.api, names.straight)} of its rate, round by round`,
    '',
  ].join('\n');
}

await withBenchStack(stop.signal, say, async () => {
  const loadBefore = describeLoad();
  await using scene = await createQueryApiScene({ topics: false });
  const text = page(await compare(scene), loadBefore);
  say(text);
  const folder = join(import.meta.dirname, '../results');
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'services.md'), text);
});
