import { CdcError, type PipelineConfig, type QueryApiConfig } from '#pipeline/index.ts';
import { requireModel, requireReadModel } from '#read-model/index.ts';

export type QueryApiSettings = { readonly queryApi: QueryApiConfig; /** The model that it serves. */ readonly model: string };

/** @throws CdcError SERVICE_NOT_CONFIGURED, READ_MODEL_NOT_CONFIGURED */
export function requireQueryApi(config: PipelineConfig): QueryApiSettings {
  const readModel = requireReadModel(config);
  const queryApi = config.services?.queryApi;
  if (queryApi === undefined) throw new CdcError('SERVICE_NOT_CONFIGURED', 'the configuration has no services.queryApi');
  const models = Object.keys(readModel.models);
  const [only] = models;
  const model = queryApi.model ?? (models.length === 1 ? only : undefined);
  if (model === undefined)
    throw new CdcError(
      'SERVICE_NOT_CONFIGURED',
      `services.queryApi.model: expected the name of a read model, of ${models.join(', ') || 'none'}`,
    );
  requireModel(readModel, model);
  return { queryApi, model };
}
