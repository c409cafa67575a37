import { patchProtocol } from './internals.ts';

/**
 * kafkajs's admin asks where a partition ends without saying how it means that, and kafkajs 2.2.4 takes it for read_committed: the end is then the
 * first record of the oldest transaction that is open, whatever has been committed behind it. Who reads up to there has not read all: a table that
 * was taken over had an earlier position than its last. The question is put right. Consumers say what they mean, and are left alone.
 */
const readUncommitted = 0;

/** @throws Error when kafkajs is built otherwise */
export function patchEndOfTopic(): void {
  patchProtocol<Readonly<Record<string, unknown>>, unknown>(
    'listOffsets',
    (ask) =>
      ({ isolationLevel = readUncommitted, ...question }) =>
        ask({ ...question, isolationLevel }),
  );
}
