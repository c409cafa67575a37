import Table from 'cli-table3';
import { Command } from 'commander';
import { Pool } from 'pg';
import { eventDecoder } from '#change-events/index.ts';
import { CdcError, describeError, positiveNumber, visibleLine, type CliContext } from '#pipeline/index.ts';
import { qualified, queryText } from '#read-model/engine/index.ts';
import type { ParkedChange } from './consumer.ts';
import { parkedStore, type ParkedStore } from './parked.ts';
import { requestRetry, type RetryOutcome } from './retry-requests.ts';

type PlaceOptions = { readonly database?: string; readonly schema: string; readonly schemaRegistry?: string };
type JsonOption = { readonly json?: boolean };
type Opened = AsyncDisposable & { readonly pool: Pool; readonly parked: ParkedStore };

/** `cdc consumer parked list|show|retry|discard`: of a service's consumer, by its database. */
export function consumerCommand(context: CliContext): Command {
  const parked = new Command('parked').description('changes that a service could not handle, and later changes of their keys');

  withPlace(parked.command('list').description('list parked changes with the cause'))
    .option('--topic <topic>', 'only this topic')
    .option('--all', 'also those that were handled or discarded since')
    .option('--json', 'print JSON, without values')
    .action(async ({ topic, all, json, ...place }: PlaceOptions & JsonOption & { readonly topic?: string; readonly all?: boolean }) => {
      await using opened = await open(context, place);
      const filter = { ...(topic === undefined ? {} : { topic }), ...(all === undefined ? {} : { all }) };
      const found = await opened.parked.list(filter);
      context.print(json === true ? toJson(found) : table(found));
    });

  withPlace(parked.command('show').description('show one change with its value').argument('<id>'))
    .option('--json', 'print JSON')
    .action(async (id: string, { json, ...place }: PlaceOptions & JsonOption) => {
      await using opened = await open(context, place);
      const change = await opened.parked.show(id);
      const lines = Object.entries(change).map(([name, value]) => `${name}: ${visibleLine(String(value))}`);
      context.print(json === true ? toJson(change) : lines.join('\n'));
    });

  withPlace(
    parked
      .command('retry')
      .description('ask the running service to handle parked changes: those of the keys of these changes, of a topic, or all')
      .argument('[id...]'),
  )
    .option('--topic <topic>', 'only this topic')
    .option('--wait <ms>', 'how long to wait for the service', positiveNumber, 30_000)
    .option('--json', 'print JSON')
    .action(
      async (
        ids: readonly string[],
        { topic, wait, json, ...place }: PlaceOptions & JsonOption & { readonly topic?: string; readonly wait: number },
      ) => {
        await using opened = await open(context, place);
        for (const id of ids) await opened.parked.show(id);
        const which = { ids: ids.length === 0 ? null : ids, topic: topic ?? null };
        const outcome = await requestRetry({ pool: opened.pool, schema: place.schema }, which, wait, context.signal);
        context.print(json === true ? toJson(outcome) : outcomeText(outcome));
        if (outcome.error !== null || outcome.results.some(({ stoppedBy }) => stoppedBy !== null)) context.setExitCode(1);
      },
    );

  withPlace(
    parked.command('discard').description('give changes up for good; changes behind them can then be retried').argument('<id...>'),
  ).action(async (ids: readonly string[], place: PlaceOptions) => {
    await using opened = await open(context, place);
    await opened.parked.discard(ids);
    context.print(`Discarded ${ids.join(', ')}. To handle the changes behind it: cdc consumer parked retry`);
  });

  return new Command('consumer').description("consumers of services, by their own tables in the service's database").addCommand(parked);
}

function withPlace(command: Command): Command {
  return command
    .option('--database <url>', "the service's database, postgres://; default: DATABASE_URL, or what PGHOST, PGUSER … say")
    .option('--schema <name>', "of the consumer's own tables", 'cdc_consumer')
    .option('--schema-registry <url>', 'to show keys and values of Avro and JSON Schema');
}

/** @throws CdcError CONSUMER_DATABASE_REFUSED, CONSUMER_NOT_MIGRATED */
async function open(context: CliContext, { database, schema, schemaRegistry }: PlaceOptions): Promise<Opened> {
  const { logger, signal } = context;
  const url = database ?? (await context.environment())['DATABASE_URL'];
  const pool = new Pool({
    ...(url === undefined ? {} : { connectionString: url }),
    application_name: 'cdc consumer parked',
    max: 2,
    connectionTimeoutMillis: 10_000,
  });
  pool.on('error', () => undefined);
  try {
    const [found] = await queryText(pool, 'SELECT to_regclass($1), to_regclass($2)', [
      qualified(schema, 'consumer_files'),
      qualified(schema, 'retry_requests'),
    ]).catch((error: unknown) => {
      throw new CdcError('CONSUMER_DATABASE_REFUSED', describeError(error), { cause: error });
    });
    if ((found?.[0] ?? null) === null)
      throw new CdcError('CONSUMER_NOT_MIGRATED', `schema ${schema} of this database has no tables of a consumer`, {
        remedy: "Name the service's database and the schema that consume was given: --database, --schema.",
      });
    if ((found?.[1] ?? null) === null)
      throw new CdcError('CONSUMER_NOT_MIGRATED', `schema ${schema} was made by an older version of the package`, {
        remedy: 'Start the service with this version of the package first, or run the SQL of migrationSql().',
      });
    const registry = schemaRegistry === undefined ? undefined : { url: schemaRegistry, requestTimeoutMs: 10_000 };
    const decoder = eventDecoder(registry);
    return {
      pool,
      parked: parkedStore({ pool, schema, decoder, logger, signal }),
      [Symbol.asyncDispose]: () => pool.end(),
    };
  } catch (error) {
    await pool.end();
    throw error;
  }
}

function table(found: readonly ParkedChange[]): string {
  if (found.length === 0) return 'Nothing is parked.';
  const rows = new Table({
    head: ['id', 'topic', 'partition', 'offset', 'key', 'state', 'cause', 'parked'],
    colWidths: [null, null, null, null, 24, null, 60, null],
    wordWrap: true,
    style: { head: [], border: [] },
  });
  for (const { id, topic, partition, offset, key, state, code, cause, parkedAt } of found)
    rows.push([id, topic, partition, String(offset), visibleLine(key ?? '-'), state, visibleLine(`${code}: ${cause}`), parkedAt]);
  return rows.toString();
}

function outcomeText({ results, error }: RetryOutcome): string {
  if (error !== null) return `The service could not retry: ${error.code}: ${visibleLine(error.cause)}`;
  const handled = results.reduce((sum, { applied }) => sum + applied, 0);
  const lines = results.flatMap(({ topic, partition, stoppedBy }) =>
    stoppedBy === null
      ? []
      : [`  ${stoppedBy.id} (${topic}, partition ${partition}, offset ${stoppedBy.offset}): ${visibleLine(stoppedBy.cause)}`],
  );
  const still = lines.length === 0 ? '' : `; ${lines.length} keys still wait:\n${lines.join('\n')}`;
  return `Handled ${handled} changes of ${results.length} keys${still}`;
}

/** Offsets are integers of 64 bits: as text they survive every JSON reader. */
function toJson(value: unknown): string {
  return JSON.stringify(value, (_name, one: unknown) => (typeof one === 'bigint' ? one.toString() : one), 2);
}
