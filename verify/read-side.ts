import { DatabaseError } from 'pg';
import { dialectOf, type SourceSession } from '#cdc-poller/rows.ts';
import { topicName, type TableId } from '#change-events/index.ts';
import { CdcError, describeError, pause, type Logger, type PipelineConfig, type ReadModelConfig } from '#pipeline/index.ts';
import {
  describeFreshness,
  haltedPartitions,
  loadMirrors,
  openPool,
  parkedCounts,
  qualified,
  queryText,
  readDatabaseConfig,
  readFreshness,
  readVersion,
  requireMigrated,
  requireModel,
  unreachable,
  type Mirror,
} from '#read-model/index.ts';

/** The read database as verify asks it: mirrors and positions by the read model's own way, rows as those of any table. */
export type ReadSide = AsyncDisposable & {
  readonly session: SourceSession;
  mirrors(model: string): Promise<readonly Mirror[]>;
  /** Parked events of a source table's topic. */
  parked(model: string, table: TableId): Promise<number>;
  /** Waits until the model is complete up to a time of the source's clock, in µs. Null when it is; else why not, as the status says it. */
  untilComplete(model: string, micros: bigint): Promise<string | null>;
};

export type ReadSideOptions = {
  readonly config: PipelineConfig;
  readonly readModel: ReadModelConfig;
  readonly timeoutMs: number;
  readonly statementTimeoutMs: number;
  readonly logger: Logger;
  readonly signal: AbortSignal;
  readonly progress: (text: string) => void;
};

const lookEveryMs = 200;
/** What takes longer is reported. */
const reportAfterMs = 2000;

/** @throws CdcError READ_DB_UNREACHABLE, READ_MODEL_NOT_MIGRATED */
export async function openReadSide(options: ReadSideOptions): Promise<ReadSide> {
  const { config, readModel, timeoutMs, statementTimeoutMs, logger, signal, progress } = options;
  await using opened = new AsyncDisposableStack();
  const session = opened.use(await openRows(readModel, statementTimeoutMs));
  const pool = openPool(readDatabaseConfig(readModel), logger, 1);
  opened.defer(() => pool.end());
  const resources = opened.move();

  const asOf = async (model: string): Promise<bigint | null> => {
    const [row] = await queryText(pool, `SELECT trunc(extract(epoch FROM as_of) * 1000000)::int8 FROM ${qualified(model, 'freshness')}`);
    const micros = row?.[0] ?? null;
    return micros === null ? null : BigInt(micros);
  };
  const whyLate = async (model: string): Promise<string> => {
    const [freshness] = await readFreshness(config, [model], logger);
    const { stopped } = await readVersion(pool, model);
    const halts = await haltedPartitions(pool, model);
    const reasons = [
      ...(stopped === null ? [] : [`it is applied by no process since ${stopped.stoppedAt}: ${stopped.code}: ${stopped.cause}`]),
      ...halts.map(({ topic, partition, code, cause }) => `${topic}/${partition} halts: ${code}: ${cause}`),
      ...(freshness === undefined ? [] : [describeFreshness(freshness)]),
    ];
    return reasons.join('; ');
  };

  // Whoever was late once is asked once more, and not waited for.
  const late = new Set<string>();
  return {
    session,
    async mirrors(model) {
      try {
        await requireMigrated(pool, model);
        return await loadMirrors(pool, model);
      } catch (error) {
        throw error instanceof CdcError || error instanceof DatabaseError ? error : unreachable(readDatabaseConfig(readModel), error);
      }
    },
    async parked(model, table) {
      const topic = topicName(requireModel(readModel, model).topicPrefix, table);
      const counts = await parkedCounts(pool, model);
      return [...counts].reduce((sum, [place, count]) => (place.slice(0, place.lastIndexOf('/')) === topic ? sum + count : sum), 0);
    },
    async untilComplete(model, micros) {
      const wanted = micros - BigInt(requireModel(readModel, model).clockAheadMs) * 1000n;
      const began = performance.now();
      let reported = false;
      for (;;) {
        signal.throwIfAborted();
        const reached = await asOf(model);
        if (reached !== null && reached >= wanted) return null;
        const waited = performance.now() - began;
        if (waited > timeoutMs || late.has(model)) {
          late.add(model);
          return `${model} was not complete up to the moment of the comparison after ${Math.round(timeoutMs / 1000)} s: ${await whyLate(model)}`;
        }
        if (!reported && waited > reportAfterMs) {
          reported = true;
          const behind = reached === null ? 'no heartbeat has come yet' : `it is ${seconds(wanted - reached)} s behind`;
          progress(`waiting until ${model} has what the source had when it was read; ${behind}`);
        }
        await pause(lookEveryMs, signal);
      }
    },
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}

function seconds(micros: bigint): string {
  return (Number(micros) / 1_000_000).toFixed(1);
}

/** Mirrors are tables of a Postgres, read as those of the source are. A pooler in session mode serves as well as none. */
async function openRows(
  { host, port, database, tls, user, password }: ReadModelConfig,
  statementTimeoutMs: number,
): Promise<SourceSession> {
  const poller = { user, password };
  const where = { host, port, database, tls, pooler: 'session', roles: { poller } } as const;
  try {
    return await dialectOf({}).openSession(where, 'cdc verify', statementTimeoutMs);
  } catch (error) {
    const place = `${host}:${port}/${database} as ${user}`;
    throw new CdcError('READ_DB_UNREACHABLE', `the read database ${place} does not take the connection: ${reasonOf(error)}`, {
      cause: error,
    });
  }
}

/** What the server said, without what our own words say of a legacy database. */
function reasonOf(error: unknown): string {
  return describeError(error instanceof CdcError && error.cause !== undefined ? error.cause : error);
}
