import { Client, DatabaseError, escapeIdentifier, type ClientConfig } from 'pg';
import { CdcError, describeError } from '#pipeline/index.ts';
import { connect } from './slot-state.ts';
import { prepareScripts, undoScripts, type SqlScript } from './sql-scripts.ts';

/** What capture from the log is prepared for. */
export type SourceRequest = {
  /** The captured tables; the heartbeat table is added. */
  readonly tables: readonly { readonly schema: string; readonly table: string }[];
  readonly publication: string;
  /** The role that Debezium logs in with. Must exist, with LOGIN and REPLICATION. */
  readonly replicator: string;
};

/** One object of the source, and what the script did about it. `present`: it was there already, as needed. */
export type SourceChange = {
  readonly action: 'created' | 'changed' | 'granted' | 'removed' | 'present';
  /** `table cdc.heartbeat`, `replica identity of table public.orders to FULL`, `SELECT on table public.orders to cdc_replicator` … */
  readonly object: string;
  /** The statement that was run; absent for `present`. */
  readonly statement?: string;
};

const ourNotice = 'CDC01';
const ourRefusal = 'CDC02';

/**
 * Makes what log-based capture needs in the source, as the tables' owner: heartbeat table, replica identity, publication, grants.
 * Repeatable: what is there stays. Each ALTER TABLE holds its lock for an instant and gives up after 2 s.
 *
 * @throws CdcError SOURCE_PREPARE_FAILED naming script and cause, LEGACY_DB_UNREACHABLE, LEGACY_LOGIN_REFUSED
 */
export async function prepareSource(owner: ClientConfig, request: SourceRequest): Promise<readonly SourceChange[]> {
  return runScripts(owner, request, await prepareScripts());
}

/**
 * Takes back what {@link prepareSource} made, last first. Delete the connector before.
 *
 * @throws CdcError as {@link prepareSource}
 */
export async function undoSource(owner: ClientConfig, request: SourceRequest): Promise<readonly SourceChange[]> {
  return runScripts(owner, request, await undoScripts());
}

async function runScripts(owner: ClientConfig, request: SourceRequest, scripts: readonly SqlScript[]): Promise<readonly SourceChange[]> {
  const changes: SourceChange[] = [];
  const client = new Client(owner);
  client.on('error', () => undefined);
  client.on('notice', ({ code, message, detail }) => {
    const change = code === ourNotice ? readNotice(message ?? '', detail) : undefined;
    if (change !== undefined) changes.push(change);
  });
  try {
    await connect(client, owner);
    // Names come out with their schema, whatever search_path the owner has.
    await client.query(
      `SELECT set_config('search_path', '', false), set_config('cdc.tables', $1, false),
        set_config('cdc.publication', $2, false), set_config('cdc.replicator', $3, false)`,
      [
        request.tables.map(({ schema, table }) => `${escapeIdentifier(schema)}.${escapeIdentifier(table)}`).join(','),
        request.publication,
        request.replicator,
      ],
    );
    for (const script of scripts) await runScript(client, script, owner);
  } finally {
    await client.end().catch(() => undefined);
  }
  return changes;
}

async function runScript(client: Client, { name, sql }: SqlScript, { user, database }: ClientConfig): Promise<void> {
  try {
    await client.query(sql);
  } catch (error) {
    const place = `connectors/sql/${name} as ${user ?? ''} in database ${database ?? ''}`;
    throw new CdcError('SOURCE_PREPARE_FAILED', `${place}: ${describeError(error)}`, { cause: error, ...remedyFor(error) });
  }
}

function remedyFor(error: unknown): { readonly remedy?: string } {
  if (!(error instanceof DatabaseError)) return {};
  const { code, hint } = error;
  if (code === ourRefusal || (code === '42704' && hint !== undefined)) return { remedy: hint ?? '' };
  if (code === '42501')
    return { remedy: "Run it as the tables' owner, who also needs: GRANT CREATE ON DATABASE … (schema cdc, publication)." };
  if (code === '42P01') return { remedy: 'Correct the table in table.include.list, or create it.' };
  if (code === '55P03')
    return { remedy: 'A long transaction holds the table; run it again when it has ended. Nothing waits behind this script.' };
  return {};
}

const actions = new Set<string>(['created', 'changed', 'granted', 'removed', 'present'] satisfies SourceChange['action'][]);

function isAction(word: string): word is SourceChange['action'] {
  return actions.has(word);
}

/** `created table cdc.heartbeat`: the scripts' own words, the same that psql shows. */
function readNotice(message: string, statement: string | undefined): SourceChange | undefined {
  const space = message.indexOf(' ');
  const action = message.slice(0, space);
  if (!isAction(action)) return undefined;
  return { action, object: message.slice(space + 1), ...(statement === undefined ? {} : { statement }) };
}
