import Table from 'cli-table3';
import { Command } from 'commander';
import { stringifyLossless, type JsonValue } from '#change-events/index.ts';
import { CdcError, visibleLine, type CliContext } from '#pipeline/index.ts';
import { requireReadModel, selectModels } from '../model-config.ts';
import type { ParkedEvent } from './parked-events.ts';
import { openParkedEvents, type ParkedEvents, type QueueRetry } from './retry-parked.ts';

type ModelOption = { readonly model?: string };
type Found = { readonly model: string; readonly event: ParkedEvent; readonly key: string | null };
type JsonOption = { readonly json?: boolean };

/** `cdc read-model parked list|show|retry|discard` */
export function parkedCommand(context: CliContext): Command {
  const command = new Command('parked').description('events that could not be applied, and later events of their keys');

  command
    .command('list')
    .description('list parked events with the cause')
    .option('--model <name>', 'only this model')
    .option('--topic <topic>', 'only this topic')
    .option('--all', 'also those that were applied or discarded since')
    .option('--json', 'print JSON, without values')
    .action(async ({ model, topic, all, json }: ModelOption & JsonOption & { readonly topic?: string; readonly all?: boolean }) => {
      const found: Found[] = [];
      for (const name of await modelsOf(context, model)) {
        await using parked = await open(context, name);
        for (const event of await parked.list({ topic, all })) found.push({ model: name, event, key: parked.textOf(event.message.key) });
      }
      context.print(
        json === true ? toJson(found.map(({ model: name, event, key }) => ({ model: name, ...summary(event, key) }))) : table(found),
      );
    });

  command
    .command('show')
    .description('show one event with its value and headers')
    .argument('<id>')
    .option('--model <name>', 'the model')
    .option('--json', 'print JSON')
    .action(async (id: string, { model, json }: ModelOption & JsonOption) => {
      await using parked = await open(context, await oneModel(context, model));
      const event = await parked.show(id);
      const full = {
        ...summary(event, parked.textOf(event.message.key)),
        headers: event.message.headers,
        value: parked.textOf(event.message.value),
      };
      context.print(
        json === true
          ? toJson(full)
          : Object.entries(full)
              .map(([name, value]) => `${name}: ${shown(value)}`)
              .join('\n'),
      );
    });

  command
    .command('retry')
    .description('apply parked events in order: the queues of these events, of a topic, or all')
    .argument('[id...]')
    .option('--model <name>', 'the model')
    .option('--topic <topic>', 'only this topic')
    .option('--json', 'print JSON')
    .action(async (ids: readonly string[], { model, topic, json }: ModelOption & JsonOption & { readonly topic?: string }) => {
      await using parked = await open(context, await oneModel(context, model));
      const results = await parked.retry({ ids: ids.length === 0 ? undefined : ids, topic });
      context.print(json === true ? toJson(results.map((result) => retrySummary(result, parked))) : retryText(results));
    });

  command
    .command('discard')
    .description('give events up for good; events behind them can then be retried')
    .argument('<id...>')
    .option('--model <name>', 'the model')
    .action(async (ids: readonly string[], { model }: ModelOption) => {
      await using parked = await open(context, await oneModel(context, model));
      await parked.discard(ids);
      context.print(`Discarded ${ids.join(', ')}. To apply the events behind it: cdc read-model parked retry`);
    });

  return command;
}

async function open(context: CliContext, model: string): Promise<ParkedEvents> {
  return openParkedEvents(await context.config(), model, context.logger, context.signal);
}

async function modelsOf(context: CliContext, model: string | undefined): Promise<readonly string[]> {
  return selectModels(requireReadModel(await context.config()), model === undefined ? undefined : [model]);
}

/** Ids are a model's own, so with several models one must be named. */
async function oneModel(context: CliContext, model: string | undefined): Promise<string> {
  const [only, ...others] = await modelsOf(context, model);
  if (only !== undefined && others.length === 0) return only;
  throw new CdcError('READ_MODEL_NOT_CONFIGURED', `there are several read models: name one with --model (${[only, ...others].join(', ')})`);
}

function summary(event: ParkedEvent, key: string | null): Readonly<Record<string, JsonValue>> {
  const { id, topic, partition, message, state, code, cause, parkedAt } = event;
  return { id, topic, partition, offset: String(message.offset), key, state, code, cause, parkedAt };
}

function table(found: readonly Found[]): string {
  if (found.length === 0) return 'Nothing is parked.';
  const rows = new Table({
    head: ['model', 'id', 'topic', 'partition', 'offset', 'key', 'state', 'cause', 'parked'],
    colWidths: [null, null, null, null, null, 24, null, 60, null],
    wordWrap: true,
    style: { head: [], border: [] },
  });
  for (const { model, event, key } of found) {
    const { id, topic, partition, message, state, code, cause, parkedAt } = event;
    rows.push([
      model,
      id,
      topic,
      partition,
      String(message.offset),
      visibleLine(key ?? '-'),
      state,
      visibleLine(`${code}: ${cause}`),
      parkedAt,
    ]);
  }
  return rows.toString();
}

function retrySummary(
  { topic, partition, applied, stoppedBy }: QueueRetry,
  { textOf }: Pick<ParkedEvents, 'textOf'>,
): Readonly<Record<string, JsonValue>> {
  return { topic, partition, applied, stoppedBy: stoppedBy === null ? null : summary(stoppedBy, textOf(stoppedBy.message.key)) };
}

function retryText(results: readonly QueueRetry[]): string {
  const applied = results.reduce((sum, one) => sum + one.applied, 0);
  const stopped = results.flatMap(({ stoppedBy }) => stoppedBy ?? []);
  const lines = stopped.map(
    ({ id, topic, partition, message, cause }) =>
      `  ${id} (${topic}, partition ${partition}, offset ${message.offset}): ${visibleLine(cause)}`,
  );
  const still = lines.length === 0 ? '' : `; ${lines.length} keys still wait:\n${lines.join('\n')}`;
  return `Applied ${applied} events of ${results.length} keys${still}`;
}

function toJson(value: JsonValue): string {
  return stringifyLossless(value);
}

function shown(value: JsonValue | undefined): string {
  return visibleLine(typeof value === 'string' ? value : stringifyLossless(value ?? null));
}
