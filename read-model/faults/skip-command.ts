import { Command, InvalidArgumentError } from 'commander';
import { wholeNumber, type CliContext } from '#pipeline/index.ts';
import { skipUnreadable } from './skip.ts';

type SkipOptions = {
  readonly model: string;
  readonly topic: string;
  readonly partition: number;
  readonly from: bigint;
  readonly to: bigint;
};

/** `cdc read-model skip` */
export function skipCommand(context: CliContext): Command {
  return new Command('skip')
    .description('skip a batch that cannot be read and that a partition has halted at; its events are lost to the model')
    .requiredOption('--model <name>', 'of this model')
    .requiredOption('--topic <topic>', 'the topic')
    .requiredOption('--partition <number>', 'the partition', wholeNumber(0))
    .requiredOption('--from <offset>', 'the first offset of the batch', offset)
    .requiredOption('--to <offset>', 'the offset behind its last', offset)
    .action(async ({ model, topic, partition, from, to }: SkipOptions) => {
      await skipUnreadable(await context.config(), model, { topic, partition, offset: from, nextOffset: to }, context.logger);
      context.print(`${model} continues after offset ${to - 1n} of topic ${topic}, partition ${partition}.`);
    });
}

function offset(text: string): bigint {
  if (!/^\d{1,19}$/.test(text)) throw new InvalidArgumentError('Expected an offset.');
  return BigInt(text);
}
