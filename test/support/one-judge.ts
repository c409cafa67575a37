import getPort from 'get-port';
import { pino } from 'pino';
import * as z from 'zod';
import { runPoller } from '#cdc-poller/index.ts';
import { examine } from '#doctor/examine.ts';
import type { Finding } from '#doctor/finding.ts';
import { doctorRequest } from '#doctor/request.ts';
import type { PipelineConfig } from '#pipeline/index.ts';
import { waitFor } from '#stack/index.ts';
import { pollerEndpoint } from './poller-http.ts';

/** Why a table is not polled, as it is said by the poller. Of several reasons a code of their own, and no single remedy. */
export type Refusal = { readonly code: string; readonly message: string; readonly remedy: string | null };

const line = z.object({ table: z.string(), remedy: z.string().optional(), msg: z.string() });
const leftOut = /^a table that matches a pattern is left out: (?<message>[^]*)$/;

/** Starts the poller and waits until each table that it has is polled, or refused; those that match a pattern and are left out, it says in its log. */
export async function refusalsByStart(config: PipelineConfig): Promise<ReadonlyMap<string, Refusal>> {
  const { poller } = config;
  if (poller === undefined) throw new TypeError('no poller is configured');
  const port = await getPort();
  const refusals = new Map<string, Refusal>();
  const logger = pino(
    { level: 'warn' },
    {
      write: (text: string) => {
        const { data } = line.safeParse(JSON.parse(text));
        const message = leftOut.exec(data?.msg ?? '')?.groups?.['message'];
        if (data !== undefined && message !== undefined)
          refusals.set(data.table, { code: 'left out', message, remedy: data.remedy ?? null });
      },
    },
  );
  const controller = new AbortController();
  const ended = runPoller({
    config: { ...config, poller: { ...poller, http: { host: '127.0.0.1', port } } },
    logger,
    signal: controller.signal,
  });
  try {
    const endpoint = pollerEndpoint(port, poller.name);
    const settled = async (): Promise<boolean> => {
      const { tables } = await endpoint.figures();
      // What passes by itself is no refusal: a busy machine has such errors.
      const refused = tables.filter(({ stuck, lastSuccessAt }) => stuck && lastSuccessAt === null);
      for (const { table, lastError } of refused) if (lastError !== null) refusals.set(table, lastError);
      return tables.length > 0 && tables.every((one) => one.lastSuccessAt !== null || refused.includes(one));
    };
    const all = waitFor(() => settled().catch(() => false), {
      signal: controller.signal,
      timeoutMs: 300_000,
      describe: 'every table is polled or refused',
    });
    all.catch(() => undefined);
    await Promise.race([all, ended]);
  } finally {
    controller.abort();
    await ended;
  }
  return refusals;
}

/** What the doctor says beforehand, in the form in which the poller says it: by table, from its errors of the query-based strategy. */
export async function refusalsByDoctor(config: PipelineConfig): Promise<ReadonlyMap<string, Refusal>> {
  const { findings } = await examine(await doctorRequest(config, '/', ['query']));
  const errors = findings.filter(({ severity }) => severity === 'error');
  const byTable = Map.groupBy(errors, ({ subject }) => subject.table ?? subject.name);
  return new Map([...byTable].map(([table, all]) => [table, together(all)]));
}

function together(findings: readonly Finding[]): Refusal {
  const said = findings.map(({ code, cause, remedy, privilege }) => ({
    code,
    message: cause.replace(/\.$/, ''),
    remedy: privilege === 'who edits pipeline.yaml' || privilege === 'the DBA' ? remedy : `As the ${privilege}: ${remedy}`,
  }));
  const [first] = said;
  if (said.length === 1 && first !== undefined) return first;
  return { code: 'TABLES_UNFIT', message: said.map(({ message, remedy }) => `${message}. ${remedy}`).join('\n'), remedy: null };
}

/** The same in any order, as the words of one sentence: a sentence begins with a capital letter where it is alone. */
export function comparable({ code, message, remedy }: Refusal): string {
  const lines = message.split('\n').map((one) => one.replace(/^./, (sign) => sign.toLowerCase()));
  const shown = code === 'TABLES_UNFIT' || code === 'left out' ? '' : `${code} `;
  return `${shown}${lines.toSorted().join('\n')}${code === 'TABLES_UNFIT' || code === 'left out' ? '' : ` ${remedy ?? ''}`}`;
}
