import { resolve } from 'node:path';
import type { CapturedTables } from '#change-events/index.ts';
import { loggedTables, polledTables } from '#cdc-poller/index.ts';
import { dataTables, declaredKey, leavesOut, readConnectorFile } from '#connectors/index.ts';
import { CdcError, type PipelineConfig } from '#pipeline/index.ts';

/**
 * What is captured under a topic prefix, as the source's catalogue has it: the tables of the poller, or of the connector files, whose prefix it is.
 *
 * @param folder that of pipeline.yaml, which connector files are relative to
 * @throws CdcError READ_MODEL_TABLES_INVALID where nothing has that prefix; CONNECTOR_…, LEGACY_…
 */
export async function capturedUnder(config: PipelineConfig, folder: string, topicPrefix: string): Promise<CapturedTables> {
  const { legacyDb, poller, comparison } = config;
  if (poller !== undefined && [poller.topicPrefix, comparison?.sweep?.topicPrefix].includes(topicPrefix))
    return polledTables(legacyDb, { ...poller, topicPrefix });
  const files = await Promise.all((config.connect?.connectors ?? []).map((file) => readConnectorFile(resolve(folder, file))));
  const own = files.filter((file) => file.config['topic.prefix'] === topicPrefix);
  if (own.length === 0)
    throw new CdcError('READ_MODEL_TABLES_INVALID', `nothing is captured under topic prefix ${topicPrefix}`, {
      remedy: 'Set topicPrefix of the model to that of the poller, or of a connector file that connect.connectors lists.',
    });
  const found: CapturedTables[] = [];
  for (const { name, config: settings } of own) {
    found.push(await loggedTables(legacyDb, dataTables(name, settings), leavesOut(settings), declaredKey(settings)));
  }
  return { tables: found.flatMap(({ tables }) => tables), unfit: found.flatMap(({ unfit }) => unfit) };
}
