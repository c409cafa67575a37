import { once } from 'node:events';
import { get as httpGet } from 'node:http';
import { eventually } from './read-database.ts';

export type StreamEvent = { readonly event: string; readonly id: string; readonly data: string };

/** A client of server-sent events that keeps what it is reported, without the browser's reconnecting. */
export type StreamClient = Disposable & {
  readonly status: number;
  readonly events: readonly StreamEvent[];
  /** What the next connection sends as Last-Event-ID. */
  readonly lastId: string;
  /** Waits until the events satisfy `holds`. */
  until(holds: (events: readonly StreamEvent[]) => boolean): Promise<void>;
  /** Whether the server, or this client, has ended it. */
  readonly ended: boolean;
};

export async function openStream(url: string, headers: Readonly<Record<string, string>> = {}): Promise<StreamClient> {
  const request = httpGet(url, { headers: { accept: 'text/event-stream', ...headers } });
  const [response] = await once(request, 'response');
  const events: StreamEvent[] = [];
  let rest = '';
  let lastId = headers['last-event-id'] ?? '';
  let ended = false;
  response.setEncoding('utf8');
  response.on('data', (text: string) => {
    const blocks = (rest + text).split('\n\n');
    rest = blocks.pop() ?? '';
    for (const block of blocks) {
      const fields = block
        .split('\n')
        .map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).replace(/^ /, '')]);
      const event = fields.find(([name]) => name === 'event')?.[1];
      const id = fields.find(([name]) => name === 'id')?.[1];
      lastId = id ?? lastId;
      if (event !== undefined)
        events.push({ event, id: id ?? '', data: fields.flatMap(([name, value]) => (name === 'data' ? [value ?? ''] : [])).join('\n') });
    }
  });
  response.on('error', () => undefined);
  response.on('close', () => (ended = true));
  return {
    status: response.statusCode ?? 0,
    events,
    get lastId() {
      return lastId;
    },
    get ended() {
      return ended;
    },
    async until(holds) {
      await eventually(
        () => Promise.resolve(events),
        (now) => holds(now),
      );
    },
    [Symbol.dispose]() {
      request.destroy();
    },
  };
}
