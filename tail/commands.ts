import { Command, InvalidArgumentError, Option } from 'commander';
import { eventDecoder, formatTableId, parseTableId, type TableId } from '#change-events/index.ts';
import { connectKafka } from '#kafka/index.ts';
import { wholeNumber, type CliContext } from '#pipeline/index.ts';
import { describeEvent, eventJson } from './describe.ts';
import { isOfKey } from './key-filter.ts';
import { tail } from './tail.ts';
import { topicsOf, type Strategy } from './topics.ts';

type TailFlags = {
  readonly key?: string;
  readonly fromBeginning: boolean;
  readonly strategy: Strategy | 'both';
  readonly json: boolean;
  readonly limit?: number;
};

/** `cdc events tail` */
export function eventsCommand(context: CliContext): Command {
  const command = new Command('events').description('events of a table, as a person reads them');
  command
    .command('tail')
    .description('print the events of a table as they come, one a line, until Ctrl-C')
    .argument('<table>', 'schema.table, as in pipeline.yaml', tableArgument)
    .option('--key <key>', 'only the row with this key, as it is printed: the value, or JSON for a key of several columns')
    .option('--from-beginning', 'all that the topics have, then what comes; default: what comes', false)
    .addOption(new Option('--strategy <strategy>', 'whose topic to read').choices(['query', 'log', 'both']).default('both'))
    .option('--limit <n>', 'end after this many events', wholeNumber(1))
    .option('--json', 'print one JSON object a line, with whole values', false)
    .action(async (table: TableId, flags: TailFlags) => runTail(context, table, flags));
  return command;
}

async function runTail(context: CliContext, table: TableId, flags: TailFlags): Promise<void> {
  const config = await context.config();
  const { signal, progress, print, logger } = context;
  const topics = topicsOf(config, table, flags.strategy);
  const from = flags.fromBeginning ? 'beginning' : 'end';
  progress(`following ${topics.map(({ topic }) => topic).join(' and ')} from the ${from}; Ctrl-C ends`);
  let left = flags.limit ?? Number.POSITIVE_INFINITY;
  const options = {
    kafka: connectKafka(config.kafka, logger),
    decoder: eventDecoder(config.schemaRegistry),
    topics,
    from,
    signal,
    progress,
  };
  try {
    for await (const event of tail({ ...options, from })) {
      if (flags.key !== undefined && !isOfKey(event, flags.key)) continue;
      print(flags.json ? eventJson(event) : describeEvent(event));
      left -= 1;
      if (left <= 0) return;
    }
  } catch (error) {
    // A signal is the usual way to end it.
    if (!signal.aborted) throw error;
  }
}

/** @throws InvalidArgumentError, which commander reports with the argument's name */
function tableArgument(text: string): TableId {
  try {
    // The one text of a table, whatever quotes it was given with.
    return parseTableId(formatTableId(parseTableId(text)));
  } catch {
    throw new InvalidArgumentError('Expected schema.table, as in pipeline.yaml.');
  }
}
