import * as z from 'zod';
import { CdcError } from '#pipeline/index.ts';
import { qualified, queryText, type Database, readOffsets, type Position } from '#read-model/index.ts';
import { fingerprintSql, type Table } from './catalogue.ts';

/**
 * How far a model is applied, read once for all who ask at about the same time.
 *
 * A reading is taken before the rows that it is said of, so it is a lower bound: whatever it says is applied is in rows that are read after it. It holds
 * for rows of the same server and the same version of the model only, and its `origin` says which those are.
 */
export type Reading = {
  /** Of the catalogue that the model had. */
  readonly fingerprint: string;
  /** The server since its last start, and the version of the model. */
  readonly origin: string;
  readonly position: Position;
  /** µs since the epoch; null: not known. */
  readonly asOf: bigint | null;
  /** The server's clock, in µs since the epoch. */
  readonly at: bigint;
  /** Projections that are halted, and since when: µs since the epoch. */
  readonly halted: ReadonlyMap<string, bigint>;
};

/** How far what was read is applied, as it was before it was read. */
export type Applied = {
  readonly fingerprint: string;
  /** Of the table's topics; empty where that is not known. */
  readonly position: Position;
  /** µs since the epoch; null: not known. */
  readonly asOf: bigint | null;
  /** When the rows were read. */
  readonly stalenessMs: bigint | null;
};

export type Readings = {
  /** One that has just been taken. Who asks while one is on its way gets that. */
  fresh(): Promise<Reading>;
  /** One of the last {@link oldestMs}, or the one that is on its way. Never one that is older than another that was given before. */
  recent(): Promise<Reading>;
  /** One that is begun after this call: what was committed before the call is in it. */
  next(): Promise<Reading>;
};

/** A reading is renewed in the background when it is this old, while requests go on with it. */
const renewAfterMs = 20;
/** No request uses one that is older. */
const oldestMs = 50;

/** @param read takes a reading */
export function createReadings(read: () => Promise<Reading>, now: () => number = () => performance.now()): Readings {
  let last: { readonly reading: Reading; readonly sentAt: number } | null = null;
  let onItsWay: Promise<Reading> | null = null;
  const take = async (): Promise<Reading> => {
    const sentAt = now();
    try {
      const reading = await read();
      last = { reading, sentAt };
      return reading;
    } finally {
      onItsWay = null;
    }
  };
  const fresh = (): Promise<Reading> => (onItsWay ??= take());
  return {
    fresh,
    recent() {
      const age = last === null ? Infinity : now() - last.sentAt;
      if (last === null || age > oldestMs) return fresh();
      // If it fails, the next one to need it is the one to know.
      if (age > renewAfterMs) fresh().catch(() => undefined);
      return Promise.resolve(last.reading);
    },
    async next() {
      await onItsWay?.catch(() => undefined);
      return fresh();
    },
  };
}

/**
 * What a reading and the rows after it must have in common. Postgres puts names in their place from FROM to the list of what is selected: there, this is
 * of the version of the rows or of a later one.
 */
export function originSql(model: string): string {
  return `pg_postmaster_start_time()::text || '/' || '${qualified(model, 'model_version').replaceAll("'", "''")}'::regclass::oid::text`;
}

/** The server's clock, in µs since the epoch. */
export const clockSql = micros('clock_timestamp()');

function micros(time: string): string {
  return `trunc(extract(epoch FROM ${time}) * 1000000)::bigint`;
}

const haltedProjections = z.record(z.string(), z.string()).transform((since) => {
  return new Map(Object.entries(since).map(([name, time]) => [name, BigInt(time)] as const));
});

/**
 * The version is looked up first and last. Where a switch falls in between, the two differ, and the reading is good for no rows.
 *
 * @throws CdcError READ_MODEL_NOT_MIGRATED
 */
export async function takeReading(database: Database, model: string): Promise<Reading> {
  const [row] = await queryText(
    database,
    `SELECT v.tableoid::text, ${fingerprintSql(model)},
            (SELECT string_agg(o.topic || '/' || o.partition || '=' || o.next_offset, ' ' ORDER BY o.topic, o.partition)
               FROM ${qualified(model, 'applied_offsets')} o),
            ${micros('f.as_of')}, ${clockSql},
            (SELECT json_object_agg(p.projection, p.since::text) FROM (SELECT projection, ${micros('min(since)')} AS since
               FROM ${qualified(model, 'projection_faults')} GROUP BY projection) p),
            ${originSql(model)}
       FROM ${qualified(model, 'model_version')} v CROSS JOIN ${qualified(model, 'freshness')} f`,
    [],
    'reading',
  );
  if (row === undefined) throw new CdcError('READ_MODEL_NOT_MIGRATED', `read model ${model} has no freshness`);
  const [version, fingerprint, offsets = null, asOf, at, halted, origin] = row;
  return {
    fingerprint: fingerprint ?? '',
    origin: typeof origin === 'string' && origin.endsWith(`/${version}`) ? origin : '',
    position: readOffsets(offsets),
    asOf: typeof asOf === 'string' ? BigInt(asOf) : null,
    at: BigInt(at ?? 0),
    halted: typeof halted === 'string' ? haltedProjections.parse(JSON.parse(halted)) : new Map(),
  };
}

/** What a reading says of a table, at a time of the server's clock. A projection that is halted is as old as that, and at no position. */
export function appliedOf(reading: Reading, table: Pick<Table, 'name' | 'topics'> | null, at: bigint): Applied {
  const since = table === null ? undefined : reading.halted.get(table.name);
  const asOf = reading.asOf !== null && since !== undefined && since < reading.asOf ? since : reading.asOf;
  const behind = asOf === null || at < asOf ? 0n : at - asOf;
  return {
    fingerprint: reading.fingerprint,
    position: table === null ? reading.position : since === undefined ? positionOf(reading, table) : new Map(),
    asOf,
    stalenessMs: asOf === null ? null : (behind + 999n) / 1000n,
  };
}

/** Of each table's topics, cut out once for a reading: it is the same for all who use it. */
const positions = new WeakMap<Reading, Map<string, Position>>();

function positionOf(reading: Reading, { name, topics }: Pick<Table, 'name' | 'topics'>): Position {
  const known = positions.get(reading) ?? new Map<string, Position>();
  positions.set(reading, known);
  const cut =
    known.get(name) ?? new Map([...reading.position].filter(([place]) => topics.includes(place.slice(0, place.lastIndexOf('/')))));
  known.set(name, cut);
  return cut;
}
