import type { ServerResponse } from 'node:http';
import type { Logger } from '#pipeline/index.ts';
import { formatPosition, positionMost } from '#read-model/index.ts';
import type { Positions } from '../freshness/follow-positions.ts';
import { Problem } from '../../http/problems.ts';
import type { Applied } from '../model/readings.ts';
import { watchList, type Change, type Listed, type News, type Watch } from './watch.ts';

/** A list to be watched. */
export type StreamAsked = {
  /** The same for the same list: its clients share one watch. */
  readonly name: string;
  readonly list: () => Promise<Listed | null>;
  readonly topics: readonly string[];
  readonly lastId: string | null;
  /** When the right to read ends, in ms since the epoch; null: never. */
  readonly expiresAt: number | null;
};

export type Streams = AsyncDisposable & {
  /** Refuses before anything is written. @throws Problem too-many-streams */
  requirePlace(name: string): Promise<void>;
  /** Writes server-sent events until the client, the right or the server ends. The response's head has been written. */
  serve(response: ServerResponse, asked: StreamAsked): void;
  readonly figures: { readonly clients: number; readonly watches: number; readonly slowClients: number };
};

type StreamsOptions = {
  /** Most clients, and most lists. */
  readonly most: number;
  readonly bufferBytes: number;
  readonly positions: Positions;
  readonly logger: Logger;
};

const aliveEveryMs = 15_000;

/** The live streams of a server. Each client's memory is bounded: what it leaves unread beyond `bufferBytes` ends it. */
export function createStreams({ most, bufferBytes, positions, logger }: StreamsOptions): Streams {
  const watches = new Map<string, Watch>();
  const clients = new Set<() => void>();
  let slowClients = 0;
  const drop = async (name: string): Promise<void> => {
    const watch = watches.get(name);
    watches.delete(name);
    await watch?.[Symbol.asyncDispose]();
  };
  const watchOf = ({ name, list, topics }: StreamAsked): Watch => {
    const known = watches.get(name);
    if (known !== undefined) return known;
    const watch = watchList({ list, topics, positions, logger, onIdle: () => void drop(name) });
    watches.set(name, watch);
    return watch;
  };
  return {
    get figures() {
      return { clients: clients.size, watches: watches.size, slowClients };
    },
    async requirePlace(name) {
      if (clients.size >= most)
        throw new Problem('too-many-streams', `All ${most} live streams of this server are taken.`, { headers: { 'retry-after': '10' } });
      if (watches.has(name) || watches.size < most) return;
      const idle = [...watches].find(([, { listeners }]) => listeners === 0);
      if (idle !== undefined) await drop(idle[0]);
    },
    serve(response, asked) {
      let joined: Disposable | null = null;
      const end = (): void => {
        clearInterval(alive);
        clearTimeout(expiry);
        clients.delete(end);
        joined?.[Symbol.dispose]();
        joined = null;
        if (!response.writableEnded) response.end();
      };
      const write = (text: string): void => {
        if (response.writableEnded || response.destroyed) return;
        if (response.writableLength > bufferBytes) {
          slowClients += 1;
          response.destroy();
          end();
          return;
        }
        response.write(text);
      };
      const alive = setInterval(() => write(': alive\n\n'), aliveEveryMs);
      const left = asked.expiresAt === null ? null : Math.min(asked.expiresAt - Date.now(), 2 ** 31 - 1);
      const expiry = left === null ? undefined : setTimeout(end, Math.max(0, left));
      clients.add(end);
      response.on('close', end);
      response.on('error', end);
      response.write('retry: 1000\n\n');
      joined = watchOf(asked).join({ tell: (news) => write(textOf(news)), away: () => write(awayText), end }, asked.lastId);
    },
    async [Symbol.asyncDispose]() {
      for (const end of clients) end();
      await Promise.all([...watches.keys()].map(drop));
    },
  };
}

/** Without an id: what is gone on from stays what it was. */
const awayText = 'event: away\ndata: {}\n\n';

function textOf({ whole, changes, applied, id }: News): string {
  const current = `event: current\nid: ${id}\ndata: ${JSON.stringify(currentOf(applied))}\n\n`;
  return `${whole ? 'event: reset\nid:\ndata: {}\n\n' : ''}${changes.map(changeText).join('')}${current}`;
}

function changeText({ id, event, data }: Change): string {
  // A json column has its own line breaks.
  const lines = data.split(/\r\n|\r|\n/).map((line) => `data: ${line}\n`);
  return `event: ${event}\n${id === '' ? '' : `id: ${id}\n`}${lines.join('')}\n`;
}

function currentOf({ position, asOf, stalenessMs }: Applied): Readonly<Record<string, string | number | null>> {
  const text = formatPosition(position);
  return {
    position: text.length > positionMost ? null : text,
    asOf: asOf === null ? null : instantOf(asOf),
    stalenessMs: stalenessMs === null ? null : Number(stalenessMs),
  };
}

/** µs since the epoch as RFC 3339. */
export function instantOf(micros: bigint): string {
  const ms = micros / 1000n;
  const text = new Date(Number(ms)).toISOString();
  return `${text.slice(0, -1)}${String(micros % 1000n).padStart(3, '0')}Z`;
}
