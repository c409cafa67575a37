import { createRequire } from 'node:module';

/**
 * kafkajs's admin asks where a partition ends without saying how it means that, and kafkajs 2.2.4 takes it for read_committed: the end is then the
 * first record of the oldest transaction that is open, whatever has been committed behind it. Who reads up to there has not read all: a table that
 * was taken over had an earlier position than its last. The question is put right in memory. Consumers say what they mean, and are left alone.
 */
const requestModule = 'kafkajs/src/protocol/requests/listOffsets';
const require = createRequire(import.meta.url);

const readUncommitted = 0;

type Question = Readonly<Record<string, unknown>>;
type Protocol = (version: { readonly version: number }) => (question: Question) => unknown;

let mended = false;

/**
 * Mends the kafkajs of this process, once.
 *
 * @throws Error when it is built otherwise than version 2.2.4
 */
export function mendEndOfTopic(): void {
  if (mended) return;
  const request: unknown = require(requestModule);
  if (!isDefinition(request))
    throw new Error('the installed kafkajs is not built as version 2.2.4 is, whose question for offsets is mended here');
  const { protocol } = request;
  request.protocol = (version) => {
    const ask = protocol(version);
    return ({ isolationLevel = readUncommitted, ...question }) => ask({ ...question, isolationLevel });
  };
  mended = true;
}

function isDefinition(value: unknown): value is { protocol: Protocol } {
  return typeof value === 'object' && value !== null && 'protocol' in value && typeof value.protocol === 'function';
}
