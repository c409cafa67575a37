import { dialectOf, openTable, type ReadableTable, type SourceSession, type TableRequest } from '#cdc-poller/rows.ts';
import { CdcError, type Credentials, type ErrorCode, type LegacyDbConfig } from '#pipeline/index.ts';

/** The source as the roles of the configuration may read it, one connection each: the poller's first, and where that may not, the replicator's. */
export type SourceSide = AsyncDisposable & {
  /** @throws CdcError what the first role was refused with */
  open(request: Omit<TableRequest, 'role'>): Promise<{ readonly table: ReadableTable; readonly session: SourceSession }>;
};

/** What another role may be let do. */
const refusals: ReadonlySet<ErrorCode> = new Set([
  'LEGACY_LOGIN_REFUSED',
  'LEGACY_ROLE_MISSING',
  'SELECT_MISSING',
  'SCHEMA_USAGE_MISSING',
  'ROW_SECURITY',
]);

export function openSourceSide(config: LegacyDbConfig, statementTimeoutMs: number): SourceSide {
  const { poller, replicator } = config.roles;
  const opened = new AsyncDisposableStack();
  const sessions = new Map<string, Promise<SourceSession>>();
  const sessionOf = (role: Credentials): Promise<SourceSession> => {
    const known = sessions.get(role.user) ?? connect(role);
    sessions.set(role.user, known);
    return known;
  };
  const connect = async (role: Credentials): Promise<SourceSession> =>
    opened.use(
      await dialectOf(config).openSession({ ...config, roles: { ...config.roles, poller: role } }, 'cdc verify', statementTimeoutMs),
    );
  return {
    async open(request) {
      let first: unknown;
      for (const role of replicator === undefined ? [poller] : [poller, replicator]) {
        try {
          const session = await sessionOf(role);
          return { session, table: await openTable(session, { ...request, role: role.user }) };
        } catch (error) {
          first ??= error;
          if (!(error instanceof CdcError) || !refusals.has(error.code)) throw error;
        }
      }
      throw first;
    },
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  };
}
