import { formatTableId, type TableId } from '#change-events/index.ts';
import { attemptsOf } from '../attempt.ts';
import { readCaptures, type Capture } from '../capture.ts';
import type { Settings } from '../request.ts';
import type { Examination } from './examine-polling.ts';
import { finding, type Finding } from '../finding.ts';
import { judgeCarried } from './judge/carried.ts';
import { judgeCapturedTopics } from '../connect/judge-topics.ts';
import { judgeConnect, judgeFile } from '../connect/judge-connector.ts';
import { judgeIdentity, judgePublishedIdentities } from './judge/identity.ts';
import { judgeHelperTables, judgeOwner, judgeReplicator, type HelperTables } from './judge/preparation.ts';
import { isPublished, isTable, judgePublication } from './judge/publication.ts';
import { judgeLogServer, judgeStandby } from './judge/server.ts';
import { judgeForeignSlot, judgeSlot } from './judge/slot.ts';
import { judgeAccess } from './judge/table-access.ts';
import { judgeSlotCreation } from './judge/transactions.ts';
import { readConnect, type ConnectFacts, type ConnectorFacts } from '../connect/probe-connect.ts';
import { readHeartbeatState, readableHeartbeat } from './probe/heartbeat.ts';
import { readPublications, readPublishable, readReplication, type PublicationFacts, type ReplicationFacts } from './probe/replication.ts';
import { readServer } from './probe/server.ts';
import { connectionFinding, openDoctorSession, type DoctorSession, type Viewer } from './probe/session.ts';
import { readIsEmpty, readTable, type TableFacts } from './probe/tables.ts';
import type { PublishableTable } from '#connectors/postgres/facts/published-facts.ts';
import type { DoctorRequest } from '../request.ts';
import { watchMovement, type Watched } from '../connect/watch-movement.ts';
import { watchTransactions } from './probe/transactions.ts';

/** Examines source and Connect for the log-based strategy, the source as the replicator's role. */
export async function examineLog(request: DoctorRequest, settings: Settings): Promise<Examination> {
  const { log, server: place, database } = request;
  const { captures, findings: unread } = readCaptures(log.files);
  const findings: Finding[] = [...log.findings, ...unread];
  for (const { file } of captures) findings.push(...judgeFile(file, { topicPrefix: log.topicPrefix, database, server: request.server }));
  findings.push(...judgeCapturedTopics(log.files));
  const askConnect = async (): Promise<ConnectFacts | undefined> => {
    const facts = log.connect === undefined ? undefined : await readConnect(log.connect, log.files, settings.signal);
    if (facts !== undefined) findings.push(...judgeConnect(facts, log.files));
    return facts;
  };
  const { replicator } = log;
  if (replicator === undefined) {
    findings.push(finding('ROLE_NOT_CONFIGURED', 'log', { kind: 'role', name: 'legacyDb.roles.replicator' }, { duty: 'replicator' }));
    await askConnect();
    return { findings, server: undefined, tables: [], polled: [] };
  }
  const viewer: Viewer = { strategy: 'log', role: replicator.role, server: place, database };
  let session: DoctorSession;
  try {
    session = await openDoctorSession(replicator.login, request.poller.legacyDb.pooler);
  } catch (error) {
    findings.push(connectionFinding(error, viewer));
    await askConnect();
    return { findings, server: undefined, tables: [], polled: [] };
  }
  await using open = session;
  const examined = await examineAsReplicator({ session: open, request, captures, viewer, settings, askConnect });
  return { ...examined, findings: [...findings, ...examined.findings] };
}

type Case = {
  readonly session: DoctorSession;
  readonly request: DoctorRequest;
  readonly captures: readonly Capture[];
  readonly viewer: Viewer;
  readonly settings: Settings;
  readonly askConnect: () => Promise<ConnectFacts | undefined>;
};

async function examineAsReplicator({ session, request, captures, viewer, settings, askConnect }: Case): Promise<Examination> {
  const { findings, see } = attemptsOf(viewer, settings.signal);
  const { ownerRole } = request.log;
  const watch = await see('open transactions', () => watchTransactions(session));
  const server = await see('the server', () => readServer(session));
  const roles = [viewer.role, ...(ownerRole === undefined ? [] : [ownerRole])];
  // Slots before Connect: a position that Connect reports later is never older than what its slot had confirmed.
  const replication = await see('slots and roles', () => readReplication(session, roles));
  const connect = await askConnect();
  const named = captures.map(({ publication }) => publication);
  const publications = await see('publications', () => readPublications(session, named));
  const tables: TableFacts[] = [];
  const moving: Watched[] = [];
  for (const capture of captures) {
    const read = (id: TableId): Promise<TableFacts | undefined> =>
      see(`table ${formatTableId(id)}`, () => readTable(session, id, ownerRole));
    const captured: TableFacts[] = [];
    for (const id of capture.tables) {
      const facts = await read(id);
      if (facts === undefined) continue;
      captured.push(facts);
      findings.push(...judgeAccess(facts, viewer, 'table.include.list'));
    }
    tables.push(...captured);
    if (replication === undefined) continue;
    const heartbeat = capture.heartbeatTable === null ? null : await read(capture.heartbeatTable);
    const signal = capture.signalTable === null ? null : await read(capture.signalTable);
    const seen = heartbeat?.found?.maySelect === true && heartbeat.found.mayUseSchema ? heartbeat.id : undefined;
    const isHeartbeatEmpty =
      seen === undefined ? false : ((await see(`rows of ${formatTableId(seen)}`, () => readIsEmpty(session, seen))) ?? false);
    const helpers = { heartbeat, signal, isHeartbeatEmpty };
    const duties = { role: viewer.role, ownerRole };
    const publishable =
      server === undefined
        ? undefined
        : await see(`what may be published of ${capture.file.name}`, () => readPublishable(session, server, capture.tables, []));
    const isThere = publications?.some(({ name }) => name === capture.publication) === true;
    const held =
      server === undefined || !isThere
        ? []
        : await see(`tables of publication ${capture.publication}`, () => readPublishable(session, server, [], [capture.publication]));
    findings.push(...judgePublishedIdentities(held ?? [], capture.publication));
    if (publications !== undefined && publishable !== undefined) {
      const prepared = { replication, publications, publishable, held: held ?? [] };
      findings.push(...judgePreparation(capture, prepared, captured, helpers, duties));
    }
    findings.push(...judgeOwnSlot(capture, replication, connect, request.database));
    const publication = publications?.find(({ name }) => name === capture.publication);
    const readable = readableHeartbeat(heartbeat);
    moving.push({
      connector: factsOf(capture, connect),
      client: request.log.connect,
      warnMs: request.log.warnHeartbeatMs,
      published:
        heartbeat?.found !== undefined && heartbeat.found !== null && isPublished(publication, heartbeat.id, heartbeat.found.partitions),
      readState: () => see(`the heartbeat of ${capture.file.name}`, () => readHeartbeatState(session, capture.slot, readable)),
      signal: settings.signal,
    });
  }
  if (server !== undefined) findings.push(...judgeStandby(server, request.server, 'log'));
  if (replication !== undefined) {
    const wanted = captures.map(({ slot }) => slot);
    if (server !== undefined) findings.push(...judgeLogServer(server, replication, wanted));
    findings.push(...judgeReplicator(replication, viewer.role));
    for (const slot of replication.slots) if (!wanted.includes(slot.name)) findings.push(...judgeForeignSlot(slot));
    const transactions = watch === undefined ? undefined : await see('open transactions', () => watch.finish(settings.signal));
    const toMake = wanted.find((name) => replication.slots.every((slot) => slot.name !== name));
    if (transactions !== undefined) findings.push(...judgeSlotCreation(transactions, viewer, toMake, settings.oldSeconds));
  }
  findings.push(...(await Promise.all(moving.map(watchMovement))).flat());
  return { findings, server, tables, polled: [] };
}

type Prepared = {
  readonly replication: ReplicationFacts;
  readonly publications: readonly PublicationFacts[];
  readonly publishable: readonly PublishableTable[];
  readonly held: readonly PublishableTable[];
};

function judgePreparation(
  capture: Capture,
  { replication, publications, publishable, held }: Prepared,
  tables: readonly TableFacts[],
  helpers: HelperTables,
  { role, ownerRole }: { readonly role: string; readonly ownerRole: string | undefined },
): readonly Finding[] {
  const publication = publications.find(({ name }) => name === capture.publication);
  const heartbeatMissing = helpers.heartbeat?.found === null;
  return [
    ...judgePublication(publication, capture, tables, publishable, held),
    ...tables.flatMap((facts) => {
      const table = publishable.find(({ id }) => formatTableId(id) === formatTableId(facts.id));
      const carried = table === undefined || !isTable(facts.found) ? [] : judgeCarried(table, publication, capture);
      return [...judgeIdentity(facts, table, publication, capture), ...carried];
    }),
    ...judgeHelperTables(capture, publication, helpers, role),
    ...(ownerRole === undefined ? [] : judgeOwner(replication, ownerRole, publication, tables, heartbeatMissing)),
  ];
}

function judgeOwnSlot(
  capture: Capture,
  { slots }: ReplicationFacts,
  connect: ConnectFacts | undefined,
  database: string,
): readonly Finding[] {
  const slot = slots.find(({ name }) => name === capture.slot);
  return judgeSlot(slot, capture, { database, connector: factsOf(capture, connect) ?? null });
}

function factsOf({ file }: Capture, connect: ConnectFacts | undefined): ConnectorFacts | undefined {
  return connect?.state === 'reachable' ? connect.connectors.find(({ name }) => name === file.name) : undefined;
}
