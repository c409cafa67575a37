import { formatTableId, parseTableId, type TableId } from '#change-events/index.ts';
import type { ConnectorFile } from '#connectors/index.ts';
import { CdcError, describeError, type PipelineConfig, type PollerConfig } from '#pipeline/index.ts';
import { differences } from './difference.ts';
import { loggedTypes, polledTypes } from './from-catalogue.ts';
import { registeredTopics, registeredTypes, registryOf, type RegistryQuestion, type TableTopic } from './from-registry.ts';
import { printFile } from './print.ts';
import type { FoundTypes, Strategy, TableTypes, UnfitTable } from './table-types.ts';

export type TypesRequest = {
  readonly config: PipelineConfig;
  readonly connectors: readonly ConnectorFile[];
  /** `schema.table`; empty: all that are captured. */
  readonly tables: readonly string[];
  readonly from: 'catalogue' | 'registry';
  readonly strategy: Strategy | undefined;
  readonly signal: AbortSignal;
};

export type MadeTypes = {
  readonly text: string;
  readonly tables: readonly TableId[];
  readonly unfit: readonly UnfitTable[];
  /** Where catalogue and registry do not say the same, in words. */
  readonly notes: readonly string[];
};

/**
 * Makes the file of types. Reads only.
 *
 * @throws CdcError TABLE_NOT_CAPTURED, TYPES_UNCERTAIN, CONFIG_INVALID, LEGACY_…, CONNECTOR_…, REGISTRY_…
 */
export async function makeTypes(request: TypesRequest): Promise<MadeTypes> {
  const { config, tables: asked, from } = request;
  const strategy = request.strategy ?? onlyStrategy(config);
  const found = from === 'registry' ? await fromRegistry(request, strategy) : await fromCatalogue(request, strategy);
  const tables = chosen(found, asked, strategy);
  const unfit = found.unfit.filter(({ source }) => asked.length === 0 || asked.includes(formatTableId(source)));
  const captured = [...found.tables, ...found.unfit].map(({ source }) => source);
  return {
    text: printFile(tables, captured, strategy),
    tables: tables.map(({ source }) => source),
    unfit,
    notes: from === 'registry' ? [] : await compared(request, strategy, tables),
  };
}

/** @throws CdcError CONFIG_INVALID where both are configured: their events differ */
function onlyStrategy({ poller, connect }: PipelineConfig): Strategy {
  const log = (connect?.connectors ?? []).length > 0;
  if (poller !== undefined && log)
    throw new CdcError('CONFIG_INVALID', 'tables are captured by query and from the log, and their events have different types', {
      remedy: 'Name one: --strategy query, or --strategy log.',
    });
  return log ? 'log' : 'query';
}

async function fromCatalogue({ config, connectors }: TypesRequest, strategy: Strategy): Promise<FoundTypes> {
  if (strategy === 'query') return await polledTypes(config.legacyDb, pollerOf(config));
  return await loggedTypes(config.legacyDb, connectorsOf(connectors));
}

async function fromRegistry(request: TypesRequest, strategy: Strategy): Promise<FoundTypes> {
  const { config, connectors, signal } = request;
  const question = questionOf(request, strategy);
  const topics: TableTopic[] = strategy === 'query' ? [...ownTopics(pollerOf(config))] : [];
  for (const prefix of prefixesOf(config, connectors, strategy))
    topics.push(...(await registeredTopics(question.registry, prefix, signal)));
  return { tables: await registeredTypes(question, topics), unfit: [] };
}

function questionOf({ config, signal }: TypesRequest, strategy: Strategy): RegistryQuestion {
  return { registry: registryOf(config.schemaRegistry), strategy, dialect: config.legacyDb.dialect, signal };
}

/** Those that the configuration gives a topic of another prefix. */
function ownTopics({ tables, topicPrefix }: PollerConfig): readonly TableTopic[] {
  return tables.flatMap(({ table, topic }) =>
    topic === undefined || topic.startsWith(`${topicPrefix}.`) ? [] : [{ topic, source: parseTableId(table) }],
  );
}

function prefixesOf(config: PipelineConfig, connectors: readonly ConnectorFile[], strategy: Strategy): readonly string[] {
  if (strategy === 'query') return [pollerOf(config).topicPrefix];
  return [...new Set(connectorsOf(connectors).map((file) => file.config['topic.prefix'] ?? ''))];
}

function pollerOf({ poller }: PipelineConfig): PollerConfig {
  if (poller === undefined) throw new CdcError('CONFIG_INVALID', 'pipeline.yaml has no poller section');
  return poller;
}

function connectorsOf(connectors: readonly ConnectorFile[]): readonly ConnectorFile[] {
  if (connectors.length === 0) throw new CdcError('CONFIG_INVALID', 'pipeline.yaml names no connector files (connect.connectors)');
  return connectors;
}

/** @throws CdcError TABLE_NOT_CAPTURED for a table that was asked for and is not there, and where there is none at all */
function chosen({ tables, unfit }: FoundTypes, asked: readonly string[], strategy: Strategy): readonly TableTypes[] {
  const byName = new Map(tables.map((table) => [formatTableId(table.source), table]));
  for (const name of asked) {
    if (byName.has(name)) continue;
    const why = unfit.find(({ source }) => formatTableId(source) === name)?.why;
    const others = [...byName.keys()].toSorted().join(', ');
    throw new CdcError(
      'TABLE_NOT_CAPTURED',
      `${name} ${why === undefined ? `is not captured by ${strategy}; captured are ${others === '' ? 'no tables' : others}` : `has no types: ${why}`}`,
    );
  }
  if (tables.length === 0) {
    const reasons = unfit.map(({ source, why }) => `${formatTableId(source)}: ${why}`).join('; ');
    throw new CdcError('TABLE_NOT_CAPTURED', `no table is captured by ${strategy}${reasons === '' ? '' : `: ${reasons}`}`);
  }
  return asked.length === 0 ? tables : tables.filter(({ source }) => asked.includes(formatTableId(source)));
}

/** Where events have schemas, what the registry says otherwise. One that does not answer takes no types away. */
async function compared(request: TypesRequest, strategy: Strategy, tables: readonly TableTypes[]): Promise<readonly string[]> {
  const { config, connectors } = request;
  if (config.schemaRegistry === undefined || !hasSchemas(config, connectors, strategy)) return [];
  try {
    return differences(tables, await registeredTypes(questionOf(request, strategy), tables));
  } catch (error) {
    request.signal.throwIfAborted();
    if (!(error instanceof CdcError)) throw error;
    return [`not compared with the registry: ${error.code}: ${describeError(error)}`];
  }
}

function hasSchemas({ poller }: PipelineConfig, connectors: readonly ConnectorFile[], strategy: Strategy): boolean {
  if (strategy === 'query') return poller?.format !== 'json';
  return connectors.some(({ config }) => /avro|json-?schema/i.test(config['value.converter'] ?? ''));
}
