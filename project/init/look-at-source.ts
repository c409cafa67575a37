import { formatTableId, type TableId } from '#change-events/index.ts';
import { dialectOf, judgeTable, type CatalogTable, type SourceSession } from '#cdc-poller/judge.ts';
import { CdcError, matchesTable, pollerTableSchema, visibleLine, type LegacyDbConfig } from '#pipeline/index.ts';
import { modeChoices, type ModeChoice } from './choose-mode.ts';

/** A table of the source, and how each strategy may capture it. */
export type LookedAt = {
  readonly id: TableId;
  /** Null: the poller refuses it whichever way; `whyNotPolled` says why. */
  readonly polled: ModeChoice | null;
  readonly whyNotPolled: string;
  /** SQL that lets an index order its pages; null where one does. */
  readonly missingIndex: string | null;
  /** Whether the key sweep, which finds deletes, can look at it. */
  readonly sweepable: boolean;
  /** Why the log cannot capture it; null where it can. */
  readonly whyNotLogged: string | null;
};

export type Source = {
  readonly tables: readonly LookedAt[];
  /** Why the log cannot be captured at all; null where it can. */
  readonly whyNoLog: string | null;
  /** Names of roles that the server has already; none where it does not say. */
  readonly roles: ReadonlySet<string>;
};

/** Reads a database, as the role that was given; changes nothing. @throws CdcError LEGACY_…, NOTHING_TO_CAPTURE naming a pattern that means no table */
export async function lookAtSource(legacyDb: LegacyDbConfig, asked: readonly string[]): Promise<Source> {
  // A session of MariaDB sees all databases of its server.
  const usual = asked.length === 0 && legacyDb.dialect === 'mariadb' ? ['*'] : asked;
  const patterns = usual.map((pattern) => (withoutSchema.test(pattern) ? `${usualSchema(legacyDb)}.${pattern}` : pattern));
  const dialect = dialectOf(legacyDb);
  await using session = await dialect.openSession(legacyDb, 'cdc init', 60_000);
  const identity = await dialect.readIdentity(session);
  const zone = legacyDb.dialect === 'postgres' ? await zoneOf(session) : 'UTC';
  const tables: LookedAt[] = [];
  // What connectors prepare makes is not the user's.
  const all = (await dialect.listTables(session))
    .map(([schema, table]) => ({ schema: schema ?? '', table: table ?? '' }))
    .filter(({ schema }) => schema !== 'cdc');
  const inVain = patterns.filter((pattern) => !all.some((id) => matchesTable({ table: pattern }, formatTableId(id))));
  if (inVain.length > 0)
    throw new CdcError('NOTHING_TO_CAPTURE', `the role sees no table that is meant by --tables ${inVain.map(visibleLine).join(' ')}`);
  for (const id of all) {
    const name = formatTableId(id);
    if (patterns.length > 0 && !patterns.some((pattern) => matchesTable({ table: pattern }, name))) continue;
    const catalog = await dialect.readCatalog(session, { table: name, incrementingColumn: 'id' });
    tables.push(await lookAt(session, identity, id, catalog, zone));
  }
  return { tables, whyNoLog: await whyNoLog(session, legacyDb), roles: await rolesOf(session, legacyDb) };
}

/** No dot outside quotes. */
const withoutSchema = /^(?:[^".]|"(?:[^"]|"")*")+$/;

/** Where a table is that is named without its schema. */
function usualSchema({ dialect = 'postgres', database }: LegacyDbConfig): string {
  if (dialect === 'postgres') return 'public';
  return dialect === 'h2' ? 'PUBLIC' : formatTableId({ schema: database, table: 'x' }).slice(0, -'.x'.length);
}

async function lookAt(
  session: SourceSession,
  identity: Awaited<ReturnType<SourceSession['dialect']['readIdentity']>>,
  id: TableId,
  catalog: CatalogTable,
  zone: string,
): Promise<LookedAt> {
  const whyNotLogged =
    catalog.primaryKey.length === 0 ? 'it has no primary key, so its events would not say which row they are about' : null;
  let why = '';
  for (const choice of modeChoices(catalog, zone)) {
    const config = pollerTableSchema.safeParse({ table: formatTableId(id), ...choice.settings });
    if (!config.success) continue;
    const { findings, shape, missingIndex } = await judgeTable(session, identity, config.data);
    const first = findings.find(({ code }) => code !== 'SELECT_MISSING');
    if (first !== undefined) {
      why = first.message;
      continue;
    }
    const sweep = pollerTableSchema.parse({ ...choice.settings, table: formatTableId(id), sweep: {} });
    const sweepable =
      session.dialect.words.orderedTypes.length > 0 &&
      (await judgeTable(session, identity, sweep)).findings.every(({ code }) => code !== 'SWEEP_KEY_UNFIT');
    return {
      id,
      polled: choice,
      whyNotPolled: '',
      missingIndex: missingIndex?.remedy ?? null,
      sweepable: sweepable && shape?.hasXmin === true,
      whyNotLogged,
    };
  }
  return { id, polled: null, whyNotPolled: why, missingIndex: null, sweepable: false, whyNotLogged };
}

async function rolesOf(session: SourceSession, { dialect = 'postgres' }: LegacyDbConfig): Promise<ReadonlySet<string>> {
  if (dialect === 'h2') return new Set();
  if (dialect === 'postgres') return new Set((await session.query('SELECT rolname FROM pg_roles')).map(([name]) => name ?? ''));
  // Readable by an administrator only: whoever may not read it makes the users, and the server says then which exist.
  const [[readable] = []] = await session.query(
    "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'mysql' AND table_name = 'user'",
  );
  if (readable !== '1') return new Set();
  return new Set((await session.query("SELECT User FROM mysql.user WHERE Host = '%'")).map(([name]) => name ?? ''));
}

async function zoneOf(session: SourceSession): Promise<string> {
  const [[zone] = []] = await session.query("SELECT reset_val FROM pg_settings WHERE name = 'TimeZone'");
  return zone ?? 'UTC';
}

async function whyNoLog(session: SourceSession, { dialect }: LegacyDbConfig): Promise<string | null> {
  if (dialect === 'h2') return 'H2 has no log to capture';
  if (dialect === 'mariadb') {
    const rows = await session.query("SHOW GLOBAL VARIABLES WHERE Variable_name IN ('log_bin', 'binlog_format', 'binlog_row_image')");
    const value = new Map(rows.map(([name, text]) => [name, text]));
    const wrong = [
      ['log_bin', 'ON'],
      ['binlog_format', 'ROW'],
      ['binlog_row_image', 'FULL'],
    ].filter(([name, text]) => value.get(name ?? '') !== text);
    return wrong.length === 0 ? null : `the server needs ${wrong.map(([name, text]) => `${name}=${text}`).join(', ')}`;
  }
  const [[level] = []] = await session.query("SELECT current_setting('wal_level')");
  return level === 'logical' ? null : `the server has wal_level=${level}: set it to logical, and restart the server`;
}
