import { formatTableId } from '#change-events/index.ts';
import type { ClientConfig } from 'pg';
import type { ConnectorConfig, ConnectorFile } from '../../config-file.ts';
import { leavesOut } from '../../left-out.ts';
import { dataTables } from '../table-list.ts';
import { lossOf, type Loss } from './lossy-types.ts';
import { publishableQuery, publishableTables, type PublishableTable } from './published-facts.ts';
import { withSource } from './slot-state.ts';
import { misnamedColumns } from './unfit-names.ts';

/** The columns of a captured table that Debezium reads, and does this to, for their types or their names. Pure. */
export function lostColumns(table: Pick<PublishableTable, 'id' | 'columns'>, config: ConnectorConfig, loss: Loss): readonly string[] {
  const left = leavesOut(config);
  const misnamed = misnamedColumns(table.columns.map((column) => column.name));
  return table.columns
    .filter((column) => misnamed.get(column.name) === loss || (lossOf(column) === loss && !left(table.id, column.name)))
    .map((column) => column.name);
}

/**
 * What Debezium will not carry of the tables that a connector file names, a sentence for each table. Changes nothing.
 *
 * @throws CdcError LEGACY_DB_UNREACHABLE, LEGACY_LOGIN_REFUSED; CONNECTOR_CONFIG_INVALID where tables are named by a pattern
 */
export async function listLostColumns(source: ClientConfig, { name, config }: ConnectorFile): Promise<readonly string[]> {
  const tables = dataTables(name, config);
  const found = await withSource(source, async (client) => {
    const version = await client.query<{ server_version_num: string }>('SHOW server_version_num');
    const query = publishableQuery(Number(version.rows[0]?.server_version_num));
    const { rows } = await client.query<unknown[]>({ text: query, values: [JSON.stringify(tables), [], ''], rowMode: 'array' });
    return publishableTables.parse(rows[0]?.[0]);
  });
  return found.flatMap((table) => {
    const where = formatTableId(table.id);
    const lost = lostColumns(table, config, 'lost').join(', ');
    const stops = lostColumns(table, config, 'stops').join(', ');
    return [
      ...(lost === '' ? [] : [`Debezium does not carry every value of ${lost} of ${where}: NULL, or another value, comes in its place`]),
      ...(stops === '' ? [] : [`a value of ${stops} of ${where} stops the connector`]),
    ];
  });
}
