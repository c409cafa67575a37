import type { ReadModelConfig } from '#pipeline/index.ts';
import type { ModelRun } from './run-model.ts';

/** What a model's configuration says of how it is consumed. */
export function runSettings({
  topicPrefix,
  consistency,
  onPoison,
  parkedMax,
  transactionBufferMb,
}: ReadModelConfig['models'][string]): Pick<ModelRun, 'topicPrefix' | 'consistency' | 'bufferBytes' | 'parkMost'> {
  return {
    topicPrefix,
    consistency,
    bufferBytes: transactionBufferMb * 2 ** 20,
    parkMost: onPoison === 'park' ? parkedMax : undefined,
  };
}
