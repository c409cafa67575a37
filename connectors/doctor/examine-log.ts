import { formatTableId, type TableId } from '#change-events/index.ts';
import { attemptsOf } from './attempt.ts';
import { readCaptures, type Capture } from './capture.ts';
import type { Settings } from './examine.ts';
import type { Look } from './examine-polling.ts';
import { finding, type Finding } from './finding.ts';
import { judgeConnect, judgeFile } from './judge/connector.ts';
import { judgeIdentity, judgePublishedIdentities } from './judge/identity.ts';
import { judgeHelperTables, judgeOwner, judgeReplicator, type HelperTables } from './judge/preparation.ts';
import { isPublished, judgePublication } from './judge/publication.ts';
import { judgeLogServer, judgeStandby } from './judge/server.ts';
import { judgeForeignSlot, judgeSlot } from './judge/slot.ts';
import { judgeAccess } from './judge/table-access.ts';
import { judgeSlotCreation } from './judge/transactions.ts';
import { readConnect, type ConnectFacts, type ConnectorFacts } from './probe/connect.ts';
import { readPulse, readableHeartbeat } from './probe/pulse.ts';
import { readPublications, readReplication, type PublicationFacts, type ReplicationFacts } from './probe/replication.ts';
import { readServer } from './probe/server.ts';
import { connectionFinding, openDoctorSession, type DoctorSession, type Onlooker } from './probe/session.ts';
import { readIsEmpty, readTable, type TableFacts } from './probe/tables.ts';
import type { DoctorRequest } from './request.ts';
import { watchMovement, type Watched } from './watch-movement.ts';
import { watchTransactions } from './watch-transactions.ts';

/** Examines source and Connect for the log-based strategy, the source as the replicator's role. */
export async function examineLog(request: DoctorRequest, settings: Settings): Promise<Look> {
  const { log, server: place, database } = request;
  const { captures, findings: unread } = readCaptures(log.files);
  const findings: Finding[] = [...log.findings, ...unread];
  for (const { file } of captures) findings.push(...judgeFile(file, { topicPrefix: log.topicPrefix, database }));
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
  const onlooker: Onlooker = { strategy: 'log', role: replicator.role, server: place, database };
  let session: DoctorSession;
  try {
    session = await openDoctorSession(replicator.login);
  } catch (error) {
    findings.push(connectionFinding(error, onlooker));
    await askConnect();
    return { findings, server: undefined, tables: [], polled: [] };
  }
  await using open = session;
  const look = await lookAsReplicator({ session: open, request, captures, onlooker, settings, askConnect });
  return { ...look, findings: [...findings, ...look.findings] };
}

type Case = {
  readonly session: DoctorSession;
  readonly request: DoctorRequest;
  readonly captures: readonly Capture[];
  readonly onlooker: Onlooker;
  readonly settings: Settings;
  readonly askConnect: () => Promise<ConnectFacts | undefined>;
};

async function lookAsReplicator({ session, request, captures, onlooker, settings, askConnect }: Case): Promise<Look> {
  const { findings, see } = attemptsOf(onlooker, settings.signal);
  const { ownerRole } = request.log;
  const watch = await see('open transactions', () => watchTransactions(session));
  const server = await see('the server', () => readServer(session));
  const roles = [onlooker.role, ...(ownerRole === undefined ? [] : [ownerRole])];
  // Slots before Connect: a position that Connect tells later is never older than what its slot had confirmed.
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
      findings.push(...judgeAccess(facts, onlooker, 'table.include.list'));
    }
    tables.push(...captured);
    if (replication === undefined) continue;
    const heartbeat = capture.heartbeatTable === null ? null : await read(capture.heartbeatTable);
    const signal = capture.signalTable === null ? null : await read(capture.signalTable);
    const seen = heartbeat?.found?.maySelect === true && heartbeat.found.mayUseSchema ? heartbeat.id : undefined;
    const isHeartbeatEmpty =
      seen === undefined ? false : ((await see(`rows of ${formatTableId(seen)}`, () => readIsEmpty(session, seen))) ?? false);
    const helpers = { heartbeat, signal, isHeartbeatEmpty };
    const duties = { role: onlooker.role, ownerRole };
    if (publications !== undefined) findings.push(...judgePreparation(capture, { replication, publications }, captured, helpers, duties));
    findings.push(...judgeOwnSlot(capture, replication, connect, request.database));
    const publication = publications?.find(({ name }) => name === capture.publication);
    const readable = readableHeartbeat(heartbeat);
    moving.push({
      connector: factsOf(capture, connect),
      client: request.log.connect,
      warnMs: request.log.warnHeartbeatMs,
      published:
        heartbeat?.found !== undefined && heartbeat.found !== null && isPublished(publication, heartbeat.id, heartbeat.found.partitions),
      pulse: () => see(`the heartbeat of ${capture.file.name}`, () => readPulse(session, capture.slot, readable)),
      signal: settings.signal,
    });
  }
  if (server !== undefined) findings.push(...judgeStandby(server, request.server, 'log'));
  if (replication !== undefined) {
    const wanted = captures.map(({ slot }) => slot);
    if (server !== undefined) findings.push(...judgeLogServer(server, replication, wanted));
    findings.push(...judgeReplicator(replication, onlooker.role));
    for (const slot of replication.slots) if (!wanted.includes(slot.name)) findings.push(...judgeForeignSlot(slot));
    const transactions = watch === undefined ? undefined : await see('open transactions', () => watch.finish(settings.signal));
    const toMake = wanted.find((name) => replication.slots.every((slot) => slot.name !== name));
    if (transactions !== undefined) findings.push(...judgeSlotCreation(transactions, onlooker, toMake, settings.oldSeconds));
  }
  findings.push(...(await Promise.all(moving.map(watchMovement))).flat());
  return { findings, server, tables, polled: [] };
}

function judgePreparation(
  capture: Capture,
  { replication, publications }: { readonly replication: ReplicationFacts; readonly publications: readonly PublicationFacts[] },
  tables: readonly TableFacts[],
  helpers: HelperTables,
  { role, ownerRole }: { readonly role: string; readonly ownerRole: string | undefined },
): readonly Finding[] {
  const publication = publications.find(({ name }) => name === capture.publication);
  const heartbeatMissing = helpers.heartbeat?.found === null;
  return [
    ...judgePublication(publication, capture, tables),
    ...(publication === undefined ? [] : judgePublishedIdentities(publication)),
    ...tables.flatMap((facts) => judgeIdentity(facts, publication, capture)),
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
