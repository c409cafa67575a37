import { CdcError } from '#pipeline/index.ts';
import * as z from 'zod';
import type { Position } from './position.ts';

/** 1 knew capture by timestamp only, and cursors of a timestamp and an id. */
const version = 2;
const bigint = z
  .string()
  .regex(/^-?\d+$/)
  .transform(BigInt);

const passSchema = z.object({
  kind: z.enum(['load', 'repair', 'poll', 'whole']),
  from: bigint.nullable(),
  below: bigint.nullable(),
  horizon: bigint.nullable(),
  nextHorizon: bigint,
  cursor: z
    .array(z.string())
    .or(z.object({ timestamp: z.string(), id: z.string() }).transform(({ timestamp, id }) => [timestamp, id]))
    .nullable(),
});

const names = z.array(z.string());

const headSchema = z.object({
  version: z.literal([1, version]),
  position: z.object({
    systemIdentifier: z.string(),
    timeline: z.string(),
    basis: z
      .object({ capture: z.enum(['time', 'id', 'window', 'id-window', 'whole']), by: names, order: names, key: names })
      .nullable()
      .default(null),
    relation: z.object({ oid: z.string(), file: z.string() }).nullable().default(null),
    clock: bigint,
    log: z.string().nullable().default(null),
    witness: z
      .object({ below: bigint, rows: z.array(z.object({ key: z.array(z.string()), xid: bigint, time: bigint.nullable() })) })
      .nullable()
      .default(null),
    topicId: z.string().nullable().default(null),
    floor: bigint,
    high: bigint.nullable().default(null),
    horizon: bigint.nullable(),
    pass: passSchema.nullable(),
    repair: z
      .object({
        from: bigint.nullable().default(null),
        below: bigint,
        horizon: bigint,
        open: z.array(z.string()).transform((ids) => new Set(ids)),
        gate: bigint.nullable(),
      })
      .nullable(),
    swept: bigint.nullable().default(null),
    done: z.boolean().default(false),
  }),
  /** Numbers of the chunks of remembered keys that belong to this position. */
  chunks: z.array(z.number()),
});

/** A position as it is in Kafka: with the chunks that hold its remembered keys. */
export type PositionHead = { readonly position: Position; readonly chunks: readonly number[] };

/** Remembered keys by transaction id. */
export type RememberedChunk = readonly (readonly [xid: bigint, keys: readonly string[]])[];

const chunkSchema = z.array(z.tuple([bigint, z.array(z.string())]));

const asText = (_name: string, value: unknown): unknown => {
  if (typeof value === 'bigint') return value.toString();
  return value instanceof Set ? [...value] : value;
};

export function encodeHead({ position, chunks }: PositionHead): string {
  return JSON.stringify({ version, position, chunks }, asText);
}

export function encodeChunk(chunk: RememberedChunk): string {
  return JSON.stringify(chunk, asText);
}

/** @throws CdcError POSITION_INVALID naming `place`, and the version when a newer program has written it */
export function decodeHead(text: string, place: string): PositionHead {
  return decode(headSchema, text, place);
}

/** @throws CdcError POSITION_INVALID naming `place` */
export function decodeChunk(text: string, place: string): RememberedChunk {
  return decode(chunkSchema, text, place);
}

function decode<T>(schema: z.ZodType<T>, text: string, place: string): T {
  try {
    const value: unknown = JSON.parse(text);
    const { data } = ofAnyVersion.safeParse(value);
    if (data !== undefined && data.version > version)
      throw new CdcError(
        'POSITION_INVALID',
        `the record at ${place} is a position of version ${data.version}; this program knows ${version} and older`,
      );
    return schema.parse(value);
  } catch (error) {
    if (error instanceof CdcError) throw error;
    throw new CdcError('POSITION_INVALID', `the record at ${place} is not a position of version ${version}`, { cause: error });
  }
}

const ofAnyVersion = z.object({ version: z.number() });
