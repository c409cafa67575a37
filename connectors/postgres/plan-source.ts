import { sqlName, sqlTable } from './sql-names.ts';
import { optionsOf, planTable, type OwnPublication } from './plan-table.ts';
import type { RelationName } from './facts/published-facts.ts';
import type { SourceChange, SourceRequest, Step } from './source-change.ts';
import type { SourceFacts } from './facts/source-facts.ts';

const heartbeat: RelationName = { schema: 'cdc', table: 'heartbeat' };
const signal: RelationName = { schema: 'cdc', table: 'signal' };
const row = 'INSERT INTO cdc.heartbeat (id, beat_at) VALUES (1, clock_timestamp()) ON CONFLICT (id) DO NOTHING';

/** Steps that belong together: when one of a table's fails, its others are left. */
export type Group = { readonly table?: RelationName; readonly steps: readonly Step[] };
export type SourcePlan = {
  readonly groups: readonly Group[];
  readonly present: readonly SourceChange[];
  readonly refused: readonly SourceChange[];
};

/** All that makes log-based capture possible, in order. Pure. */
export function planSource(facts: SourceFacts, request: SourceRequest, role: string): SourcePlan {
  const { publication } = facts;
  const groups: Group[] = [];
  const present: SourceChange[] = [];
  const refused: SourceChange[] = [];
  const either = (isPresent: boolean, object: string, step: () => Step): readonly Step[] => {
    if (!isPresent) return [step()];
    present.push({ action: 'present', object });
    return [];
  };
  groups.push({ steps: [...helperSteps(facts, either), ...publicationSteps(facts, request, either)] });
  let shape: OwnPublication | null = publication;
  const taken: RelationName[] = [];
  for (const id of request.tables) {
    const found = facts.tables.find((table) => table.id.schema === id.schema && table.id.table === id.table);
    const plan = planTable(id, found, shape, request, role);
    if (plan.refused !== undefined) {
      refused.push({ action: 'refused', object: `table ${sqlTable(id)}`, reason: plan.refused.reason, remedy: plan.refused.remedy });
      continue;
    }
    taken.push(id);
    if (shape !== null) shape = plan.publication;
    present.push(...plan.present);
    groups.push({ table: id, steps: plan.steps });
  }
  groups.push({ steps: grantSteps(facts, request, taken, either) });
  groups.push({ steps: signalSteps(facts, request, either) });
  return { groups: groups.filter(({ steps }) => steps.length > 0), present, refused };
}

type Either = (isPresent: boolean, object: string, step: () => Step) => readonly Step[];

/**
 * The heartbeat table: one row that the connector updates every few seconds. While the captured tables are quiet and others are written, this is what lets the slot
 * move on and the server remove WAL. The owner inserts the row, so that the connector's role needs UPDATE of one column and no INSERT.
 */
function helperSteps(facts: SourceFacts, either: Either): readonly Step[] {
  return [
    ...either(facts.schema, 'schema cdc', () => ({
      change: { action: 'created', object: 'schema cdc', statement: 'CREATE SCHEMA cdc' },
      note: { kind: 'schema', schema: 'cdc' },
    })),
    ...either(facts.heartbeat.exists, 'table cdc.heartbeat', () => ({
      change: {
        action: 'created',
        object: 'table cdc.heartbeat',
        statement: `CREATE TABLE cdc.heartbeat (id int PRIMARY KEY, beat_at timestamptz)`,
      },
      note: { kind: 'table', table: heartbeat },
    })),
    { change: { action: 'created', object: 'row of table cdc.heartbeat', statement: row } },
  ];
}

/** A publication for the captured tables and the helper tables, and for nothing else. What is in it for another connector stays. */
function publicationSteps(
  { publication, version, heartbeat: beat }: SourceFacts,
  { publication: name }: SourceRequest,
  either: Either,
): readonly Step[] {
  const object = `publication ${name}`;
  const made = either(publication !== null, object, () => ({
    change: {
      action: 'created',
      object,
      statement: `CREATE PUBLICATION ${sqlName(name)} FOR TABLE cdc.heartbeat WITH (${optionsOf(version)})`,
    },
    note: { kind: 'publication', publication: name },
    writes: [heartbeat],
  }));
  return publication === null || beat.published ? made : [...made, memberStep(name, heartbeat)];
}

function memberStep(publication: string, table: RelationName): Step {
  return {
    change: {
      action: 'changed',
      object: `publication ${publication}: table ${sqlTable(table)} added`,
      statement: `ALTER PUBLICATION ${sqlName(publication)} ADD TABLE ${sqlTable(table)}`,
    },
    note: { kind: 'member', publication, table },
    writes: [table],
  };
}

/**
 * What the connector's role needs besides LOGIN and REPLICATION: to connect, to read the captured tables (snapshot) and the heartbeat, and to update the
 * heartbeat. test/integration/connectors-grants.test.ts shows for each of them what breaks without it.
 */
function grantSteps(
  { rights, database }: SourceFacts,
  { replicator }: SourceRequest,
  tables: readonly RelationName[],
  either: Either,
): readonly Step[] {
  const grant = (has: boolean, privilege: string, on: string, object: string): readonly Step[] =>
    either(has, `${object} for ${replicator}`, () => grantStep(privilege, on, object, replicator));
  const schemas = new Set(['cdc', ...tables.map(({ schema }) => schema)]);
  const has = (id: RelationName): boolean =>
    rights?.tables.some(({ schema, table, read }) => schema === id.schema && table === id.table && read) ?? false;
  return [
    ...grant(rights?.connects ?? false, 'CONNECT', `DATABASE ${sqlName(database)}`, `CONNECT on database ${database}`),
    ...[...schemas].flatMap((schema) =>
      grant(
        rights?.schemas.some(({ name, used }) => name === schema && used) ?? false,
        'USAGE',
        `SCHEMA ${sqlName(schema)}`,
        `USAGE on schema ${schema}`,
      ),
    ),
    ...[...tables, heartbeat].flatMap((id) => grant(has(id), 'SELECT', `TABLE ${sqlTable(id)}`, `SELECT on table ${sqlTable(id)}`)),
    ...grant(rights?.beats ?? false, 'UPDATE (beat_at)', 'TABLE cdc.heartbeat', 'UPDATE of cdc.heartbeat.beat_at'),
  ];
}

function grantStep(privilege: string, on: string, object: string, role: string): Step {
  return {
    change: { action: 'granted', object: `${object} to ${role}`, statement: `GRANT ${privilege} ON ${on} TO ${sqlName(role)}` },
    note: { kind: 'grant', privilege, on, role },
  };
}

/**
 * The signal table: a row in it asks the connector for an incremental snapshot (cdc connectors snapshot). The connector reads the row from the log, so the table
 * is published; and it writes its watermarks there, so its role needs INSERT. Rows stay as a record of who asked for what.
 */
function signalSteps(facts: SourceFacts, { publication, replicator }: SourceRequest, either: Either): readonly Step[] {
  const { signal: found, rights, publication: shape } = facts;
  return [
    ...either(found.exists, 'table cdc.signal', () => ({
      change: {
        action: 'created',
        object: 'table cdc.signal',
        statement: 'CREATE TABLE cdc.signal (id varchar(64) PRIMARY KEY, type varchar(32) NOT NULL, data text)',
      },
      note: { kind: 'table', table: signal },
    })),
    ...(found.published || shape?.everything === true ? [] : [memberStep(publication, signal)]),
    ...either(rights?.signals ?? false, `INSERT on table cdc.signal for ${replicator}`, () =>
      grantStep('INSERT', 'TABLE cdc.signal', 'INSERT on table cdc.signal', replicator),
    ),
  ];
}
