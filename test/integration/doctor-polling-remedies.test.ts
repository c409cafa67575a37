import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Client, escapeIdentifier, type ClientConfig } from 'pg';
import { runPoller } from '#cdc-poller/index.ts';
import { formatTableId, parseTableId } from '#change-events/index.ts';
import { findingAreas } from '#doctor/catalogue/catalogue.ts';
import type { Finding } from '#doctor/finding.ts';
import { pipelineSchema, silentLogger, type PipelineConfig } from '#pipeline/index.ts';
import { startDoctorBench, type DoctorBench, type DoctorDatabase } from '#test/support/doctor.ts';
import { testKafka } from '#test/support/kafka.ts';
import { polledKinds, type PolledKind } from '#test/support/polling-kinds.ts';
import { readPublished } from '#test/support/published.ts';
import { testStack, uniqueName } from '#test/support/stack.ts';
import { zooFor, zooSchemas, zooSql } from '#test/support/table-zoo.ts';

let bench: DoctorBench;

before(async () => {
  bench = await startDoctorBench();
});

after(async () => {
  await bench[Symbol.asyncDispose]();
});

const {
  'Reaching the source, and rights': access,
  'Polling tables': polling,
  'Polling tables: what the poller refuses': refused,
} = findingAreas;
const pollingCodes = { ...access, ...polling, ...refused };

/** Findings whose remedy no statement is: what is wrong, or wanted, only a person can say. */
const decidedByPeople: Readonly<Partial<Record<keyof typeof pollingCodes, string>>> = {
  LEGACY_DB_UNREACHABLE: 'the network, or the setting',
  LEGACY_DB_MISSING: 'the setting',
  LEGACY_LOGIN_REFUSED: 'the password, pg_hba.conf',
  ROLE_NOT_CONFIGURED: 'of the log',
  PROBE_REFUSED: 'whether the role may see more',
  SOURCE_IS_STANDBY: 'the address of the primary',
  POOLER_BETWEEN: 'the address of the server itself',
  TABLE_UNKNOWN: 'which table was meant',
  TABLE_KIND: 'which tables are beneath the view',
  PATTERN_TAKES_NONE: 'which tables were meant',
  CHILDREN_NOT_POLLED: 'whether their rows are wanted',
  UPDATES_INVISIBLE: 'another mode',
  NO_FENCE: 'how late a row may come',
  POLLED_QUERY: 'the plan of the query',
  TIMESTAMP_TRIGGER_UNCLEAR: 'what the trigger does',
  DELETES_INVISIBLE: 'another strategy, or the sweep',
  CLOCK_OFFSET: 'the clocks of the hosts',
  TRANSACTION_HOLDS_FLOOR: 'whether its work may be lost',
  PREPARED_HOLDS_FLOOR: 'whether it is to be committed',
  COLUMN_UNKNOWN: 'which column was meant',
  COLUMN_TYPE_UNFIT: 'which column, or which time zone',
  COLUMN_TYPE_UNKNOWN: 'whether the column is wanted, and in which form',
  SWEEP_KEY_UNFIT: 'whether deletes are wanted',
  QUERY_INVALID: 'the query',
};

type Entry = { readonly table: string; readonly [setting: string]: unknown };

async function runAs(login: ClientConfig, statements: readonly string[]): Promise<void> {
  const client = new Client(login);
  await client.connect();
  try {
    for (const statement of statements) {
      await client.query(statement).catch((error: unknown) => assert.fail(`${statement}\n${String(error)}`));
    }
  } finally {
    await client.end();
  }
}

/** The statements that a remedy prints, each on a line of its own. */
function statementsOf({ remedy }: Finding): readonly string[] {
  return remedy.split('\n').filter((line) => line.endsWith(';'));
}

/** Does what a finding says to whom it says. Null: the table is left to the log. */
async function carryOut(one: Finding, entry: Entry, db: DoctorDatabase): Promise<readonly Entry[]> {
  const statements = statementsOf(one);
  if (statements.length > 0) {
    const { privilege } = one;
    const owned = /^owner of the (?:table|schema|sequence)/.test(privilege);
    assert.ok(owned || privilege === 'superuser', `${one.code}: ${privilege}`);
    if (owned) await runAs(db.login('owner'), statements);
    else for (const statement of statements) await db.run(statement);
    return [entry];
  }
  assert.equal(one.privilege, 'who edits pipeline.yaml', `${one.code}: ${one.remedy}`);
  const key = /declare key: \[(?<key>[^\]]+)\]/i.exec(one.remedy)?.groups?.['key'];
  if (key !== undefined)
    return [{ ...entry, key: key.split(', ').map((name) => (name.startsWith('"') ? String(JSON.parse(name)) : name)) }];
  const inherited = /^Set only: true for .*, and name (?<names>.+) in poller\.tables too/.exec(one.remedy)?.groups?.['names'];
  if (inherited !== undefined) return [{ ...entry, only: true }, ...inherited.split(', ').map((table) => ({ ...entry, table }))];
  const second = /timestampColumn: \[(?<column>\w+), …\] with one of (?<other>\w+)/.exec(one.remedy)?.groups;
  if (second !== undefined) return [{ ...entry, timestampColumn: [second['column'], second['other']] }];
  if (/\bmode:? bulk\b/i.test(one.remedy)) {
    const { timestampColumn: _one, timeZone: _two, ...rest } = entry;
    return [{ ...rest, mode: 'bulk', pollIntervalMs: 60_000 }];
  }
  assert.match(one.remedy, /log-based strategy|Name the tables|^Take/, `${one.code} ${one.subject.name}: ${one.remedy}`);
  return [];
}

async function prepare(kinds: readonly PolledKind[]): Promise<DoctorDatabase> {
  const db = await bench.database();
  const owner = db.login('owner');
  // The rest shows in a few tables what a missing grant looks like.
  const unread = ['plain', 'pay', 'tree', 'untouched', 'select'].map((table) => `zoo.${escapeIdentifier(table)}`);
  const own = kinds.filter(({ create }) => !zooSql(zooFor(18), 'legacy_app').includes(create)).map(({ create }) => create);
  await runAs(owner, [zooSql(zooFor(18), 'legacy_app'), ...own]);
  for (const schema of zooSchemas) {
    const name = escapeIdentifier(schema);
    await runAs(owner, [
      `GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA ${name} TO legacy_app`,
      `GRANT USAGE ON ALL SEQUENCES IN SCHEMA ${name} TO legacy_app`,
    ]);
  }
  await runAs(owner, [
    'GRANT USAGE ON SCHEMA zoo TO cdc_poller',
    'GRANT SELECT ON ALL TABLES IN SCHEMA zoo TO cdc_poller',
    `REVOKE SELECT ON ${unread.join(', ')} FROM cdc_poller`,
  ]);
  return db;
}

async function configOf(db: DoctorDatabase, entries: readonly Entry[], name: string): Promise<PipelineConfig> {
  const { kafka } = await testStack();
  const { legacyDb } = db.pipeline();
  // A topic takes fewer letters than a table's name.
  const tables = entries.map((entry, at) => ({ ...entry, topic: `${name}.${at}` }));
  return pipelineSchema.parse({
    legacyDb,
    kafka: { brokers: kafka.brokers, partitions: 1, replicationFactor: 1 },
    poller: { name, topicPrefix: name, tables },
  });
}

test('every remedy of the polling side does as it says on tables of every kind, and the application writes on as before', async (t) => {
  const kinds = polledKinds(18);
  await using db = await prepare(kinds);
  const application = db.login('application');
  const write = (round: number): Promise<void> =>
    runAs(
      application,
      kinds.flatMap(({ statements }) => statements(round)),
    );
  await write(1);
  let entries: readonly Entry[] = kinds.map(({ schema, table, settings }) => ({ table: formatTableId({ schema, table }), ...settings }));
  const carriedOut = new Map<string, string>();
  let findings: readonly Finding[] = [];
  const look = async (): Promise<void> => {
    const report = await db.examine(['query'], { tables: entries });
    findings = report.findings.filter(
      (one) => one.severity === 'error' || one.code === 'TIMESTAMP_NOT_MOVED' || statementsOf(one).length > 0,
    );
  };
  // A remedy may bring to light what was behind it: a child that is polled now has no key.
  for (let round = 0; round < 6; round += 1) {
    await look();
    const open = findings.filter((one) => carriedOut.get(`${one.code} ${one.subject.name}`) !== 'left');
    if (open.length === 0) break;
    const next: Entry[] = [];
    for (const entry of entries) {
      const mine = open.filter(({ subject }) => subject.table === entry.table);
      // What a person decides first; statements may hang on it.
      const [first] = mine.toSorted((a, b) => Number(statementsOf(a).length > 0) - Number(statementsOf(b).length > 0));
      if (first === undefined) next.push(entry);
      else {
        const id = `${first.code} ${first.subject.name}`;
        assert.notEqual(carriedOut.get(id), 'done', `${id} is still there: ${first.remedy}`);
        const isSql = statementsOf(first).length > 0;
        const reported = first.code === 'COLUMN_UNINDEXED' && !isSql;
        carriedOut.set(id, reported ? 'left' : isSql ? 'done' : 'decided');
        next.push(...(reported ? [entry] : await carryOut(first, entry, db)));
      }
    }
    entries = next;
    await write(round + 2);
  }
  await look();
  t.diagnostic([...carriedOut].map(([id, how]) => `${how}: ${id}`).join('\n'));
  assert.deepEqual(
    findings
      .filter((one) => carriedOut.get(`${one.code} ${one.subject.name}`) !== 'left')
      .map(({ code, subject }) => `${code} ${subject.name}`),
    [],
  );
  const executed = new Set([...carriedOut].filter(([, how]) => how !== 'left').map(([id]) => id.slice(0, id.indexOf(' '))));
  assert.deepEqual(
    Object.keys(pollingCodes).filter((code) => !executed.has(code) && !(code in decidedByPeople)),
    [],
    'findings whose remedy is neither carried out here nor a decision',
  );
  await write(20);
  const name = uniqueName('remedies');
  const config = await configOf(db, entries, name);
  await runPoller({ config, logger: silentLogger, signal: AbortSignal.timeout(300_000), once: true });
  const kafka = await testKafka();
  for (const [at, { table, only }] of entries.entries()) {
    const { schema, table: relation } = parseTableId(table);
    const sql = `SELECT count(*)::int AS rows FROM ${only === true ? 'ONLY ' : ''}${escapeIdentifier(schema)}.${escapeIdentifier(relation)}`;
    const [counted] = await db.run(sql);
    const keys = new Set((await readPublished(kafka, `${name}.${at}`)).map(({ key }) => key));
    assert.equal(keys.size, Number(counted?.['rows']), table);
  }
});
