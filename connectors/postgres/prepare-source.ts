import { Client, DatabaseError, type ClientConfig } from 'pg';
import { CdcError, describeError, sessionSql } from '#pipeline/index.ts';
import { sqlName, sqlTable } from './sql-names.ts';
import { planSource, type Group } from './plan-source.ts';
import { runStep } from './run-steps.ts';
import { connect } from './facts/slot-state.ts';
import type { SourceChange, SourceRequest, Step } from './source-change.ts';
import { readSourceFacts } from './facts/source-facts.ts';

/**
 * Makes what log-based capture needs in the source, as the tables' owner: heartbeat table, replica identity, publication, grants. Every table is judged before
 * anything is changed for it; one that cannot be captured without harm is left as it is, and the others go on. Repeatable: what is there stays. Each ALTER TABLE
 * holds its lock for an instant and gives up after 2 s.
 *
 * @throws CdcError SOURCE_PREPARE_FAILED naming place and cause, LEGACY_DB_UNREACHABLE, LEGACY_LOGIN_REFUSED
 */
export async function prepareEach(owner: ClientConfig, request: SourceRequest): Promise<readonly SourceChange[]> {
  return withOwner(owner, async (client) => {
    const role = owner.user ?? '';
    const place = `as ${role} in database ${owner.database ?? ''}`;
    const facts = await attempt(place, () => readSourceFacts(client, request, role));
    if (facts.rights === null) {
      const { replicator } = request;
      throw new CdcError('SOURCE_PREPARE_FAILED', `${place}: role ${replicator} does not exist; nothing was changed`, {
        remedy: `As a superuser, run: CREATE ROLE ${sqlName(replicator)} LOGIN REPLICATION PASSWORD '…'; then run it again.`,
      });
    }
    const { groups, present, refused } = planSource(facts, request, role);
    const changes: SourceChange[] = [...present];
    for (const group of groups) changes.push(...(await runGroup(client, group, place)));
    return [...changes, ...refused];
  });
}

/** {@link prepareEach} where all tables are needed. @throws CdcError SOURCE_PREPARE_FAILED also for a table that is refused, when the others are done */
export async function prepareSource(owner: ClientConfig, request: SourceRequest): Promise<readonly SourceChange[]> {
  const changes = await prepareEach(owner, request);
  failIfRefused(changes, owner);
  return changes;
}

/** @throws CdcError SOURCE_PREPARE_FAILED that names every table that was refused, with its reason and remedy */
export function failIfRefused(changes: readonly SourceChange[], { user, database }: ClientConfig): void {
  const refused = changes.filter(({ action }) => action === 'refused');
  if (refused.length === 0) return;
  const text = refused.map(({ object, reason = '' }) => `${object} ${reason}`).join('\n');
  throw new CdcError('SOURCE_PREPARE_FAILED', `as ${user ?? ''} in database ${database ?? ''}, left as it was: ${text}`, {
    remedy: [...new Set(refused.map(({ remedy = '' }) => remedy))].join(' '),
  });
}

/** On a connection in which names mean what they say and nobody is waited for long; one at a time. */
export async function withOwner<T>(owner: ClientConfig, work: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client(owner);
  client.on('error', () => undefined);
  try {
    await connect(client, owner);
    await client.query(sessionSql({ default_transaction_read_only: 'off' }));
    await client.query(`SELECT pg_advisory_lock(hashtextextended('cdc connectors prepare', 0))`);
    await client.query(`SELECT set_config('search_path', '', false), set_config('lock_timeout', '2s', false)`);
    return await work(client);
  } finally {
    await client.end().catch(() => undefined);
  }
}

async function runGroup(client: Client, { table, steps }: Group, place: string): Promise<readonly SourceChange[]> {
  const changes: SourceChange[] = [];
  for (const step of steps) {
    if (table === undefined) changes.push(...(await attempt(place, () => changed(client, step))));
    else {
      try {
        changes.push(...(await changed(client, step)));
      } catch (error) {
        if (!(error instanceof DatabaseError)) throw error;
        const { remedy = 'Run it again; what was done stays.' } = remedyFor(error);
        const reason = `at ${step.change.statement}: ${describeError(error)}${error.detail === undefined ? '' : ` (${error.detail})`}`;
        return [...changes, { action: 'refused', object: `table ${sqlTable(table)}`, reason, remedy }];
      }
    }
  }
  return changes;
}

async function changed(client: Client, step: Step): Promise<readonly SourceChange[]> {
  return (await runStep(client, step)) ? [step.change] : [];
}

/** @throws CdcError SOURCE_PREPARE_FAILED */
export async function attempt<T>(place: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof DatabaseError)) throw error;
    throw new CdcError('SOURCE_PREPARE_FAILED', `${place}: ${describeError(error)}`, { cause: error, ...remedyFor(error) });
  }
}

function remedyFor({ code }: DatabaseError): { readonly remedy?: string } {
  if (code === '42501')
    return { remedy: "Run it as the tables' owner, who also needs: GRANT CREATE ON DATABASE … (schema cdc, publication)." };
  if (code === '55P03')
    return { remedy: 'A long transaction holds the table; run it again when it has ended. Nothing waits behind this statement.' };
  return {};
}
