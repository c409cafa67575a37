import { parseTableId, type TableId } from '#change-events/index.ts';
import { CdcError, describeError } from '#pipeline/index.ts';
import type { ConnectorConfig } from '../config-file.ts';

const heartbeatTable = 'cdc.heartbeat';

/**
 * The tables that a connector captures, out of its table.include.list, without the heartbeat table. Debezium takes patterns there;
 * what is prepared in a source must be named, so a pattern is refused.
 *
 * @throws CdcError CONNECTOR_CONFIG_INVALID
 */
export function capturedTables(name: string, config: ConnectorConfig): readonly TableId[] {
  const list = (config['table.include.list'] ?? '').split(',').map((entry) => entry.trim().replaceAll(String.raw`\.`, '.'));
  const tables = list.filter((entry) => entry !== '' && entry !== heartbeatTable);
  if (tables.length === 0) throw invalid(name, 'is empty: name the tables to capture');
  return tables.map((entry) => {
    if (/[\\*+?^$()[\]{}|]/.test(entry)) throw invalid(name, `has a pattern (${entry}): name each table as schema.table`);
    try {
      return parseTableId(entry);
    } catch (error) {
      throw invalid(name, describeError(error));
    }
  });
}

function invalid(name: string, what: string): CdcError {
  return new CdcError('CONNECTOR_CONFIG_INVALID', `connector ${name}: table.include.list ${what}`);
}
