import { topicName, type TableId } from '#change-events/index.ts';
import { CdcError, postgresClientConfig, type PipelineConfig, type ReadModelConfig } from '#pipeline/index.ts';
import type { ClientConfig } from 'pg';

export function requireReadModel(config: PipelineConfig): ReadModelConfig {
  if (config.readModel === undefined) throw new CdcError('READ_MODEL_NOT_CONFIGURED', 'the configuration has no section readModel');
  return config.readModel;
}

/** The models that a command means: those it names, or all. @throws CdcError READ_MODEL_NOT_CONFIGURED */
export function selectModels(readModel: ReadModelConfig, models: readonly string[] | undefined): readonly string[] {
  const selected = models === undefined || models.length === 0 ? Object.keys(readModel.models) : models;
  for (const model of selected) requireModel(readModel, model);
  return selected;
}

export function requireModel(readModel: ReadModelConfig, name: string): ReadModelConfig['models'][string] {
  const model = readModel.models[name];
  if (model !== undefined) return model;
  throw new CdcError(
    'READ_MODEL_NOT_CONFIGURED',
    `readModel.models has no ${name}; it has ${Object.keys(readModel.models).join(', ') || 'none'}`,
  );
}

/** The read database's connection as configured. */
export function readDatabaseConfig(readModel: ReadModelConfig): ClientConfig {
  return postgresClientConfig(readModel, readModel, 'cdc read-model');
}

/** The topic that a model's mirror is fed from. */
export function topicOfMirror(topicPrefix: string, source: TableId): string {
  return topicName(topicPrefix, source);
}
