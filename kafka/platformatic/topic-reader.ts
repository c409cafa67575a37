import { setTimeout as delay } from 'node:timers/promises';
import type { Base } from '@platformatic/kafka';
import { OffsetOutOfRangeError, type TopicReader } from '../port.ts';
import { attempts, backOffMs } from './client-options.ts';
import { close } from './close.ts';
import { isPassing, isSilence, protocolErrors } from './errors.ts';
import { fetchOnce } from './fetch.ts';

type ReaderOptions = {
  readonly topic: string;
  readonly readUncommitted: boolean;
  readonly maxBatchBytes: number;
  readonly translate: (error: unknown, doing: string) => unknown;
};

const maxWaitMs = 100;
const maxBytesPerPartition = 1_048_576;

export function openReader(client: Base, { topic, readUncommitted, maxBatchBytes, translate }: ReaderOptions): TopicReader {
  return {
    async fetch(places) {
      const asked = places.map((place) => ({ ...place, topic }));
      for (let tried = 0; ; tried += 1) {
        try {
          const fetched = await fetchOnce(client, asked, { maxWaitMs, maxBytesPerPartition, readUncommitted, maxBatchBytes });
          return fetched.map(({ partition, run }) => ({ partition, ...run }));
        } catch (error) {
          if (protocolErrors(error).includes('OFFSET_OUT_OF_RANGE')) throw new OffsetOutOfRangeError(topic, { cause: error });
          const mayPass = isPassing(error) || protocolErrors(error).includes('UNKNOWN_TOPIC_OR_PARTITION');
          if (tried >= attempts || isSilence(error) || client.closed || !mayPass) throw translate(error, `read topic ${topic}`);
          client.clearMetadata();
          await delay(backOffMs(tried));
        }
      }
    },
    async [Symbol.asyncDispose]() {
      await close(client);
    },
  };
}
