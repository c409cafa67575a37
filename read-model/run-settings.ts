import type { ReadModelConfig } from '#pipeline/index.ts';
import type { ModelRun } from './run-model.ts';

/** What a model's configuration says of how it is consumed. */
export function runSettings({
  topicPrefix,
  consistency,
  onPoison,
  onSchemaChange,
  parkedMax,
  transactionBufferMb,
}: ReadModelConfig['models'][string]): Pick<ModelRun, 'topicPrefix' | 'consistency' | 'bufferBytes' | 'parkMost' | 'mismatches'> {
  return {
    topicPrefix,
    consistency,
    bufferBytes: transactionBufferMb * 2 ** 20,
    // Where every event that cannot be applied stops the model, these do too.
    mismatches: onPoison === 'park' && onSchemaChange === 'stop-table' ? 'halt' : 'park',
    parkMost: onPoison === 'park' ? parkedMax : undefined,
  };
}
