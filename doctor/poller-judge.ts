import {
  dialectOf,
  judgePosition,
  judgeTable,
  type Judgement,
  type Position,
  type ShapeFinding,
  type SourceSession,
  type TableShape,
} from '#cdc-poller/judge.ts';
import { formatTableId, type TableId } from '#change-events/index.ts';
import { CdcError, type LegacyDbConfig, type PollerTableConfig } from '#pipeline/index.ts';
import type { Attempts } from './attempt.ts';
import { findingCatalogue } from './catalogue/catalogue.ts';
import type { FindingEntry } from './catalogue/entry.ts';
import { mariadbCatalogue } from './catalogue/mariadb.ts';
import type { Finding, FindingCode, Subject } from './finding.ts';

/** Nobody waits for the doctor, nor the doctor for long. */
const statementTimeoutMs = 10_000;

/** The poller's judge of tables, over a session like the poller's own. */
export type Judge = AsyncDisposable & {
  readonly judge: (table: PollerTableConfig) => Promise<Judgement>;
  /** Every table that a pattern of the configuration may mean. */
  readonly tables: () => Promise<readonly TableId[]>;
  /** Whether a table can go on from its position; null too for one that was not judged fit, whose refusal is another. */
  readonly position: (table: PollerTableConfig, position: Position) => Promise<CdcError | null>;
};

/** Null where the poller would not come as far as to judge a table: why is among the findings. */
export async function openJudge(legacyDb: LegacyDbConfig, { findings, see }: Attempts): Promise<Judge | null> {
  const opened = await see('tables as the poller does', async (): Promise<SourceSession | Finding> => {
    try {
      return await openAsPoller(legacyDb);
    } catch (error) {
      const refusal = error instanceof CdcError ? sessionRefusal(error, legacyDb) : undefined;
      if (refusal === undefined) throw error;
      return refusal;
    }
  });
  if (opened === undefined) return null;
  if ('code' in opened) {
    findings.push(opened);
    return null;
  }
  return judgeOver(opened);
}

/** @throws CdcError as the poller's start does */
export function openAsPoller(legacyDb: LegacyDbConfig): Promise<SourceSession> {
  return dialectOf(legacyDb).openSession(legacyDb, 'cdc doctor', statementTimeoutMs);
}

export function judgeOver(session: SourceSession): Judge {
  const { dialect } = session;
  const identity = dialect.readIdentity(session);
  // Whoever never judges asks for no identity.
  identity.catch(() => undefined);
  const shapes = new Map<string, TableShape>();
  /** Of a poller that runs, the positions go on: what the server says is asked again once they are read. */
  let later: ReturnType<typeof dialect.readIdentity> | undefined;
  return {
    judge: async (table) => {
      const judgement = await judgeTable(session, await identity, table);
      if (judgement.shape !== null && judgement.findings.length === 0) shapes.set(table.table, judgement.shape);
      return judgement;
    },
    position: async (table, position) => {
      const shape = shapes.get(table.table);
      if (shape === undefined) return null;
      return judgePosition(position, session, await (later ??= dialect.readIdentity(session)), shape, table);
    },
    tables: async () => (await dialect.listTables(session)).map(([schema, table]) => ({ schema: schema ?? '', table: table ?? '' })),
    [Symbol.asyncDispose]: () => session[Symbol.asyncDispose](),
  };
}

/** Why the poller opens no session, where no other finding says it. */
function sessionRefusal({ code, message, remedy }: CdcError, { host, port, database, dialect }: LegacyDbConfig): Finding | undefined {
  if (code !== 'SELECT_MISSING' && code !== 'POOLER_BETWEEN') return undefined;
  const who = code === 'SELECT_MISSING' ? 'the DBA' : undefined;
  return saidByPoller({ code, message, remedy, ...(who === undefined ? {} : { who }) }, subjectOf(`${host}:${port}/${database}`), dialect);
}

function subjectOf(name: string): Subject {
  return { kind: 'server', name };
}

/** What the poller's judge finds, as a finding. */
export function unfitFinding(one: Said, id: TableId, dialect: LegacyDbConfig['dialect']): Finding {
  const table = formatTableId(id);
  const { column } = one;
  const subject: Subject =
    column === undefined ? { kind: 'table', name: table, table } : { kind: 'column', name: `${table}.${column}`, table };
  return saidByPoller(one, subject, dialect);
}

type Said = Omit<ShapeFinding, 'code'> & { readonly code: FindingCode };

/** The poller's own words, code and remedy. What comes of it is the catalogue's. */
function saidByPoller({ code, message, remedy, who }: Said, subject: Subject, dialect: LegacyDbConfig['dialect']): Finding {
  const entries: Readonly<Record<string, FindingEntry>> =
    dialect === 'mariadb' ? { ...findingCatalogue, ...mariadbCatalogue } : findingCatalogue;
  return {
    code,
    severity: 'error',
    strategy: 'query',
    subject,
    cause: `${message.slice(0, 1).toUpperCase()}${message.slice(1)}.`,
    remedy,
    privilege: who ?? 'who edits pipeline.yaml',
    blastRadius: (entries[code]?.blastRadius ?? '').replaceAll('{subject}', subject.table ?? subject.name),
  };
}
