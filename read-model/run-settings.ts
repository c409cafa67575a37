import type { ReadModelConfig } from '#pipeline/index.ts';
import type { ModelRun } from './run-model.ts';

/** What a model's configuration says of how it is consumed. */
export function runSettings({
  topicPrefix,
  consistency,
  onPoison,
  onSchemaChange,
  parkedMax,
  ignoreColumns,
  transactionBufferMb,
}: ReadModelConfig['models'][string]): Pick<
  ModelRun,
  'topicPrefix' | 'consistency' | 'bufferBytes' | 'parkMost' | 'mismatches' | 'haltsWholeTables' | 'ignoreColumns'
> {
  // Where every event that cannot be applied stops the model, these do too.
  const mismatches = onPoison === 'park' && onSchemaChange === 'stop-table' ? 'halt' : 'park';
  return {
    topicPrefix,
    consistency,
    ignoreColumns,
    bufferBytes: transactionBufferMb * 2 ** 20,
    mismatches,
    haltsWholeTables: mismatches === 'halt' && consistency === 'row',
    parkMost: onPoison === 'park' ? parkedMax : undefined,
  };
}
