import type * as z from 'zod';

/** Formats with a schema id need a registry that keeps the schema. */
export function checkFormat({ schemaRegistry: registry, poller: polled }: FormatChecked, context: z.RefinementCtx): void {
  if (polled === undefined || polled.format === 'json' || registry !== undefined) return;
  context.addIssue({ code: 'custom', path: ['poller', 'format'], message: `${polled.format} needs schemaRegistry.url` });
}

type FormatChecked = { readonly schemaRegistry?: object | undefined; readonly poller?: { readonly format: string } | undefined };

/** Settings of a table that only Postgres has. */
export function checkDialect({ legacyDb: { dialect, tls: refused }, poller: polled }: DialectChecked, context: z.RefinementCtx): void {
  if (dialect !== 'mariadb' && dialect !== 'h2') return;
  const why = {
    sweep: 'the key sweep reads Postgres only',
    onRewrite: `${dialect === 'h2' ? 'H2' : 'MariaDB'} does not report rewrites; TRUNCATE is noticed in mode incrementing`,
  };
  for (const [index, table] of (polled?.tables ?? []).entries()) {
    for (const [setting, message] of Object.entries(why)) {
      if (table[setting] !== undefined) context.addIssue({ code: 'custom', path: ['poller', 'tables', index, setting], message });
    }
  }
  if (dialect !== 'h2' || refused === undefined) return;
  const message = "H2's server of the Postgres protocol has no TLS: remove this setting, and reach it over the loopback or a tunnel";
  context.addIssue({ code: 'custom', path: ['legacyDb', 'tls'], message });
}

type DialectChecked = {
  readonly legacyDb: { readonly dialect?: string | undefined; readonly tls?: object | undefined };
  readonly poller?: { readonly tables: readonly { readonly [setting: string]: unknown }[] } | undefined;
};

/** What one thread keeps to, several would each keep to by themselves. */
export function checkThreads({ poller: polled }: ThreadsChecked, context: z.RefinementCtx): void {
  if (polled === undefined || polled.threads === 1) return;
  const refuse = (message: string): void => context.addIssue({ code: 'custom', path: ['poller', 'threads'], message });
  if (polled.sharing !== 'group') refuse('threads share the tables as a group: set sharing to group, or leave threads out');
  for (const setting of ['connections', 'maxRowsPerSecond', 'dutyCycle'] as const) {
    if (polled[setting] !== undefined) refuse(`${setting} is a limit for one thread: leave ${setting} or threads out`);
  }
}

type ThreadsChecked = {
  readonly poller?:
    | {
        readonly threads: number;
        readonly sharing: string;
        readonly connections?: number | undefined;
        readonly maxRowsPerSecond?: number | undefined;
        readonly dutyCycle?: number | undefined;
      }
    | undefined;
};
