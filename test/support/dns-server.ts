import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { decode, encode, type Answer, type SrvAnswer, type StringAnswer } from 'dns-packet';

/** What a name has. A name that is not here does not exist; one without records of the type asked for has none. */
export type Zone = Readonly<
  Record<
    string,
    {
      readonly addresses?: readonly string[];
      readonly srv?: readonly { readonly target: string; readonly port: number; readonly priority?: number }[];
    }
  >
>;

/** A DNS server on the loopback. */
export type DnsServer = AsyncDisposable & {
  /** `127.0.0.1:port`. */
  readonly address: string;
  /** How often it was asked. */
  readonly questions: number;
  /** From now on it answers by this. Null: not at all. */
  serve(zone: Zone | null): void;
};

export async function startDnsServer(zone: Zone, ttl = 1): Promise<DnsServer> {
  const socket = createSocket('udp4');
  let now: Zone | null = zone;
  let questions = 0;
  socket.on('message', (message, { address, port }) => {
    questions += 1;
    if (now === null) return;
    const { id, questions: asked = [] } = decode(message);
    const [question] = asked;
    if (question === undefined) return;
    const { name, type } = question;
    const entry = now[name.toLowerCase()];
    const answers: Answer[] = [];
    for (const data of entry?.addresses ?? []) {
      const record: StringAnswer = { type: data.includes(':') ? 'AAAA' : 'A', name, ttl, data };
      if (record.type === type) answers.push(record);
    }
    for (const { target, port: at, priority = 0 } of entry?.srv ?? []) {
      const record: SrvAnswer = { type: 'SRV', name, ttl, data: { target, port: at, priority, weight: 0 } };
      if (type === 'SRV') answers.push(record);
    }
    // The lowest bits of the flags: NXDOMAIN.
    const flags = entry === undefined ? 3 : 0;
    socket.send(encode({ type: 'response', id: id ?? 0, flags, questions: [question], answers }), port, address);
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return {
    address: `127.0.0.1:${socket.address().port}`,
    get questions() {
      return questions;
    },
    serve: (next) => void (now = next),
    async [Symbol.asyncDispose]() {
      const closed = once(socket, 'close');
      socket.close();
      await closed;
    },
  };
}
