import assert from 'node:assert/strict';
import type { ComparisonReport } from '#comparison/index.ts';
import type { TableEvents } from '#comparison/events/count.ts';
import { legacyTables } from '#legacy-db/index.ts';
import { pipelineSchema, type KafkaConfig, type PipelineConfig } from '#pipeline/index.ts';
import type { LegacyDatabase } from './legacy-database.ts';
import type { ReadDatabase } from './read-database.ts';

export const models = ['query_model', 'log_model'] as const;

/** pipeline.yaml as a value: the order system under poller and connector, each with a read model. `name` is the poller's and its prefix. */
export function bothStrategiesConfig(parts: {
  readonly database: Pick<LegacyDatabase, 'config'>;
  readonly read: ReadDatabase;
  readonly kafka: KafkaConfig;
  readonly name: string;
  readonly connectorPrefix: string;
  /** Settings of the poller over the usual ones. */
  readonly poller?: Readonly<Record<string, unknown>>;
  /** Settings of each model over the usual ones. */
  readonly model?: Readonly<Record<string, unknown>>;
  /** Settings of comparison.sweep: adds the third contender, `<name>-sweep`, and its read model `sweep_model`. */
  readonly sweep?: Readonly<Record<string, unknown>>;
}): PipelineConfig {
  const { database, read, kafka, name, connectorPrefix, poller = {}, model = {}, sweep } = parts;
  const swept = `${name}-sweep`;
  return pipelineSchema.parse({
    legacyDb: database.config,
    kafka,
    poller: { name, topicPrefix: name, pollIntervalMs: 100, tables: legacyTables.map((table) => ({ table })), ...poller },
    connect: { topicPrefix: connectorPrefix },
    readModel: {
      ...read.config,
      models: {
        query_model: { topicPrefix: name, groupId: `${name}-query`, ...model },
        log_model: { topicPrefix: connectorPrefix, groupId: `${name}-log`, ...model },
        ...(sweep === undefined ? {} : { sweep_model: { topicPrefix: swept, groupId: swept, ...model } }),
      },
    },
    ...(sweep === undefined ? {} : { comparison: { sweep: { name: swept, topicPrefix: swept, ...sweep } } }),
  });
}

/** Fails unless, by the ledger: the log lost nothing, polling only what a query cannot see; nothing came twice; both read models are right. */
export function assertNothingLostOrDoubled(report: ComparisonReport): void {
  const found: Record<string, unknown> = {};
  const note = (what: string, keys: { readonly count: number }): void => {
    if (keys.count > 0) found[what] = keys;
  };
  for (const strategy of ['log', 'query'] as const) {
    const { events, state } = report.strategies[strategy];
    assert.ok(events.measured, `${strategy}: ${JSON.stringify(events)}`);
    for (const [table, figures] of Object.entries<TableEvents>(events.value)) {
      note(`${strategy} ${table} duplicates`, figures.duplicates);
      note(`${strategy} ${table} out of order`, figures.outOfOrder);
      note(`${strategy} ${table} unexplained`, figures.unexplained);
      if (strategy === 'log') {
        note(`${strategy} ${table} lost states`, figures.states.lost);
        note(`${strategy} ${table} lost deletes`, figures.deletes.lost);
      }
    }
    for (const [table, rows] of Object.entries(state.tables)) {
      assert.ok(rows.measured, `${strategy} ${table}: ${JSON.stringify(rows)}`);
      note(`${strategy} ${table} rows missing from the model`, rows.value.missing);
      note(`${strategy} ${table} stale rows in the model`, rows.value.stale);
      // A query cannot see deletes.
      if (strategy === 'log') note(`${strategy} ${table} ghosts in the model`, rows.value.ghost);
    }
  }
  assert.deepEqual(found, {});
}
