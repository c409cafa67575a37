import { silentLogger, type PipelineConfig } from '#pipeline/index.ts';
import { readModelStatus, type PartitionStatus } from '#read-model/status.ts';

/** The partitions of all models, or of these. */
export async function partitionStatus(config: PipelineConfig, models?: readonly string[]): Promise<readonly PartitionStatus[]> {
  return (await readModelStatus(config, models, silentLogger)).flatMap(({ partitions }) => partitions);
}
