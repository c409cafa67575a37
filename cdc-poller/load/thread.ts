/** A thread of a load: a connection of its own, and pages from it that are records when they leave. Started by load-threads.ts. */
import { parentPort, workerData } from 'node:worker_threads';
import { ByteWriter, RecordBuffers } from '#kafka/index.ts';
import { describeError } from '#pipeline/index.ts';
import { dialectOf } from '../dialects.ts';
import { byteEncoderOf } from '../encoding/table-format.ts';
import { RememberedKeys } from '../fence/remembered-keys.ts';
import { judgeTable } from '../judge.ts';
import { CopyRows } from '../source/copy-rows.ts';
import { pagePrefix } from '../source/dialect.ts';
import { cursorAfter } from '../source/page-rows.ts';
import { pageStateOf } from '../source/table/relation-state.ts';
import { eventShapeOf } from '../source/table/table-shape.ts';
import { TableReshaped } from '../source/table/table-reshaped.ts';
import { encodeRows, lastRow, type Work } from '../table/pages/encode-rows.ts';
import type { FromThread, LoadedPage, PageTask, ThreadSetup, ToThread } from './messages.ts';

type Reader = AsyncDisposable & { readonly work: Work; read(task: PageTask): Promise<LoadedPage> };

async function openReader({ legacyDb, poller, table, format, state }: ThreadSetup): Promise<Reader> {
  const dialect = dialectOf(legacyDb);
  const session = await dialect.openSession(legacyDb, `cdc-poller ${poller.name} ${table.table} load`, poller.statementTimeoutMs);
  try {
    const identity = await dialect.readIdentity(session);
    const { shape } = await judgeTable(session, identity, table, poller.maskSecret);
    const { bytes } = dialect;
    const copyPage = session.copyPage?.bind(session);
    if (shape === null || shape.relation === null || pageStateOf(shape.relation) !== state) throw new TableReshaped();
    const event = eventShapeOf(shape, dialect, identity.database, poller.topicPrefix);
    const encoder = byteEncoderOf(format, dialect, event);
    if (bytes === undefined || copyPage === undefined || encoder === null)
      throw new TypeError('pages of this database are not read as bytes');
    const work: Work = { key: new ByteWriter(), wireKey: new ByteWriter(), buffers: new RecordBuffers() };
    // A load remembers nothing: its rows are published, or wait for a repair.
    const known = new RememberedKeys();
    return {
      work,
      async read({ pass, until, limit, ...task }) {
        const copied = await copyPage(bytes.copyQuery(shape, pass, limit, until));
        const rows = new CopyRows(copied.bytes, shape.columns.length + pagePrefix);
        const last = lastRow(rows);
        const { batches, published, witnesses, keys, largest } = encodeRows(rows, {
          ...task,
          shape,
          encoder,
          work,
          pass,
          known,
          rememberedMax: 0,
        });
        return {
          rows: copied.rows,
          characters: copied.bytes.length,
          cursor: last === null ? null : cursorAfter(shape, [last]),
          published,
          witnesses,
          keys,
          largest,
          batches: batches.map(({ partition, count, records }) => ({ partition, count, bytes: records.length, memory: memoryOf(records) })),
        };
      },
      [Symbol.asyncDispose]: () => session[Symbol.asyncDispose](),
    };
  } catch (error) {
    await session[Symbol.asyncDispose]();
    throw error;
  }
}

/** Record buffers are the whole of their memory. */
function memoryOf({ buffer }: Buffer): ArrayBuffer {
  if (buffer instanceof ArrayBuffer) return buffer;
  throw new TypeError('records in shared memory');
}

async function serve(port: NonNullable<typeof parentPort>): Promise<void> {
  const post = (message: FromThread, memory: readonly ArrayBuffer[] = []): void => port.postMessage(message, [...memory]);
  const fail = (error: unknown): void => post({ kind: 'failed', reason: describeError(error) });
  const ended = Promise.withResolvers<void>();
  const setup: ThreadSetup = workerData;
  let reader: Reader | null = null;
  let last: Promise<void> = Promise.resolve();
  port.on('message', (message: ToThread) => {
    if (message.kind === 'end') return ended.resolve();
    if (message.kind === 'sent') return reader?.work.buffers.giveBack(message.memory);
    const { id, task } = message;
    // Asked for at once: the server reads this page while the one before it is encoded.
    const page = reader?.read(task);
    page?.then((read) => post({ kind: 'page', id, page: read }, read.batches.map(({ memory }) => memory)), fail); // prettier-ignore
    last = Promise.all([last, page?.catch(() => undefined)]).then(() => undefined);
  });
  try {
    reader = await openReader(setup);
    post({ kind: 'ready' });
  } catch (error) {
    fail(error);
  }
  await ended.promise;
  await last;
  await reader?.[Symbol.asyncDispose]();
  port.close();
}

if (parentPort !== null) await serve(parentPort);
