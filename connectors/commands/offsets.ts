import { readFile } from 'node:fs/promises';
import { text } from 'node:stream/consumers';
import { CdcError, describeError, type CliContext } from '#pipeline/index.ts';
import { readBinlogState } from '../mariadb/lag.ts';
import { isMariadb, type Source } from '../mariadb/mariadb-source.ts';
import { binlogPositionOf, judgeBinlogMove } from '../mariadb/position.ts';
import { positionOf } from '../state/loss.ts';
import { formatMove, judgeMove, parseOffsets, refuseLossyMove, refuseOtherPartition, setOffsets, whileStopped } from '../state/offsets.ts';
import type { Move } from '../state/loss.ts';
import type { ConnectorOffsets } from '../rest/schemas.ts';
import { readSourceState } from '../postgres/facts/slot-state.ts';
import { dropSlot } from '../postgres/slot.ts';
import { clientOf, replicatorOf, runningConfig, toJson, type JsonOption } from './connect-context.ts';

const stopLimitMs = 60_000;

export async function showOffsets(context: CliContext, name: string, { json = false }: JsonOption): Promise<void> {
  const offsets = await (await clientOf(context)).offsets(name, context.signal);
  if (json) context.print(toJson(offsets));
  else if (offsets.length === 0) context.print(`${name}: no position yet`);
  else context.print(offsets.map(({ partition, offset }) => `${name} ${JSON.stringify(partition)} ${JSON.stringify(offset)}`).join('\n'));
}

/** `file` as `offsets show --json` prints it; `-` is standard input. */
export async function setOffsetsOf(
  context: CliContext,
  name: string,
  file: string,
  { force = false }: { readonly force?: boolean },
): Promise<void> {
  const { signal, progress } = context;
  const wanted = parseOffsets(await readText(file), file);
  const client = await clientOf(context);
  const slotName = (await runningConfig(client, name, signal))['slot.name'];
  const replicator = await replicatorOf(context);
  const wait = { timeoutMs: stopLimitMs, signal, progress };
  let done = '';
  const after = await whileStopped(
    client,
    name,
    async () => {
      // Compared once it has stopped: before, both places move.
      const current = await client.offsets(name, signal);
      refuseOtherPartition(name, current, wanted);
      const move = await judge(replicator, slotName, current, wanted);
      refuseLossyMove(name, move, force);
      await setOffsets(client, name, wanted, wait);
      done = formatMove(move);
    },
    wait,
  );
  context.print(`${name}: position set: ${done}; ${after}`);
}

async function judge(source: Source, slotName: string | undefined, current: ConnectorOffsets, wanted: ConnectorOffsets): Promise<Move> {
  if (isMariadb(source))
    return judgeBinlogMove(binlogPositionOf(current), binlogPositionOf(wanted), (await readBinlogState(source, {})).binlog);
  const slot = slotName === undefined ? null : (await readSourceState(source, slotName, '')).slot;
  return judgeMove(positionOf(current), positionOf(wanted), slot);
}

/** Forgets the position, so that the connector begins again with a snapshot. */
export async function resetOffsets(
  context: CliContext,
  name: string,
  { dropSlot: drop = false }: { readonly dropSlot?: boolean },
): Promise<void> {
  const { signal, progress } = context;
  const client = await clientOf(context);
  const config = await runningConfig(client, name, signal);
  const slotName = config['slot.name'];
  const replicator = await replicatorOf(context);
  let slotText = '';
  const after = await whileStopped(
    client,
    name,
    async () => {
      const slot = slotName === undefined || isMariadb(replicator) ? null : (await readSourceState(replicator, slotName, '')).slot;
      if (slot !== null && (slot.walStatus === 'lost' || slot.invalidation !== null) && !drop) {
        throw new CdcError('OFFSETS_REFUSED', `replication slot ${slot.name} was invalidated: no connector can go on with it`, {
          remedy: `cdc connectors offsets reset ${name} --drop-slot drops it; the connector makes a new one.`,
        });
      }
      await client.deleteOffsets(name, signal);
      if (drop && slot !== null && !isMariadb(replicator)) {
        await dropSlot(replicator, slot.name, stopLimitMs, signal);
        slotText = `; replication slot ${slot.name} dropped`;
      }
    },
    { timeoutMs: stopLimitMs, signal, progress },
  );
  context.print(`${name}: position forgotten${slotText}; ${after}`);
  const mode = config['snapshot.mode'] ?? 'initial';
  context.progress(
    mode === 'never' || mode === 'no_data'
      ? `${name}: snapshot.mode is ${mode}, so rows are not read again: it goes on from the position of its slot`
      : `${name}: reads the tables again. Rows deleted since the old position stay in consumers until you fill those again`,
  );
}

async function readText(file: string): Promise<string> {
  try {
    return file === '-' ? await text(process.stdin) : await readFile(file, 'utf8');
  } catch (error) {
    throw new CdcError('OFFSETS_REFUSED', `${file}: ${describeError(error)}`, { cause: error });
  }
}
