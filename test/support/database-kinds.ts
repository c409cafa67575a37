import { escapeIdentifier } from 'pg';
import { h2 } from '#cdc-poller/h2/dialect.ts';
import { h2Name } from '#cdc-poller/h2/names.ts';
import { mariadb } from '#cdc-poller/mariadb/dialect.ts';
import { postgres } from '#cdc-poller/postgres/dialect.ts';
import type { Dialect } from '#cdc-poller/source/dialect.ts';
import { mariadbName, type PipelineConfig } from '#pipeline/index.ts';
import { createH2Scene, whyNoH2 } from './h2.ts';
import { createMariadbScene, whyNoMariadb } from './mariadb.ts';
import { createPollerScene } from './poller-scene.ts';
import type { PublishedEvent } from './published.ts';

/** A place of its own in a database of some kind, and a poller's configuration for it. Tables are named without their schema. */
export type DatabaseScene = AsyncDisposable & {
  readonly schema: string;
  readonly config: PipelineConfig;
  /** Runs a statement as the owner. */
  run(sql: string): Promise<unknown>;
  /** A transaction of the owner's, which has done this and stays open until it is committed. */
  begin(sql: string): Promise<{ commit(): Promise<void> }>;
  published(table: string): Promise<readonly PublishedEvent[]>;
  until(table: string, condition: (events: readonly PublishedEvent[]) => boolean, what: string): Promise<readonly PublishedEvent[]>;
};

export type DatabaseKind = {
  readonly name: string;
  readonly dialect: Dialect;
  /** Why it cannot be tested with here. */
  readonly why: string | null;
  /** What its own SQL calls a thing. */
  readonly sql: {
    name(name: string): string;
    /** Types whose values are the same everywhere. */
    readonly zoned: string;
    readonly local: string;
    readonly bytes: string;
    hex(digits: string): string;
    json(text: string): string;
  };
  /** Without tables, nothing is to be polled. */
  open(sql: readonly string[], tables?: readonly TableSettings[], settings?: Readonly<Record<string, unknown>>): Promise<DatabaseScene>;
};

export type TableSettings = { readonly table: string; readonly [setting: string]: unknown };

/** A configuration has one table at least. */
const unpolled: readonly TableSettings[] = [{ table: 't' }];

const ofPostgres: DatabaseKind = {
  name: 'Postgres',
  dialect: postgres,
  why: null,
  sql: {
    name: escapeIdentifier,
    zoned: 'timestamptz(6)',
    local: 'timestamp(6)',
    bytes: 'bytea',
    hex: (digits) => String.raw`'\x${digits}'`,
    json: (text) => `'${text}'`,
  },
  async open(sql, tables = unpolled, settings = {}) {
    const scene = await createPollerScene(
      sql.join('; '),
      tables.map((table) => ({ ...table, table: `public.${table.table}` })),
      settings,
    );
    return {
      ...scene,
      schema: 'public',
      run: (text) => scene.query(text),
      async begin(text) {
        const client = await scene.connect();
        await client.query('BEGIN');
        await client.query(text);
        return {
          async commit() {
            await client.query('COMMIT');
          },
        };
      },
      [Symbol.asyncDispose]: () => scene[Symbol.asyncDispose](),
    };
  },
};

const ofMariadb: DatabaseKind = {
  name: 'MariaDB',
  dialect: mariadb,
  why: await whyNoMariadb(),
  sql: {
    name: mariadbName,
    zoned: 'timestamp(6)',
    local: 'datetime(6)',
    bytes: 'varbinary(20)',
    hex: (digits) => `X'${digits}'`,
    json: (text) => `'${text}'`,
  },
  async open(sql, tables = unpolled, settings = {}) {
    const scene = await createMariadbScene(sql, { tables, ...settings });
    return {
      ...scene,
      schema: scene.database,
      run: (text) => scene.query(text),
      async begin(text) {
        const connection = await scene.connect();
        await connection.query('START TRANSACTION');
        await connection.query(text);
        return {
          async commit() {
            await connection.query('COMMIT');
          },
        };
      },
      [Symbol.asyncDispose]: () => scene[Symbol.asyncDispose](),
    };
  },
};

const ofH2: DatabaseKind = {
  name: 'H2',
  dialect: h2,
  why: await whyNoH2(),
  sql: {
    name: h2Name,
    zoned: 'timestamp(6) with time zone',
    local: 'timestamp(6)',
    bytes: 'binary varying(20)',
    hex: (digits) => `X'${digits}'`,
    json: (text) => `JSON '${text}'`,
  },
  async open(sql, tables = unpolled, settings = {}) {
    const scene = await createH2Scene(sql, { tables, ...settings });
    return {
      ...scene,
      run: (text) => scene.query(text),
      async begin(text) {
        const client = await scene.connect();
        await client.query('BEGIN');
        await client.query(text);
        return {
          async commit() {
            await client.query('COMMIT');
          },
        };
      },
      [Symbol.asyncDispose]: () => scene[Symbol.asyncDispose](),
    };
  },
};

/** Every database that can be polled: one that is missing here is missing a value of the type. */
const byDialect: Readonly<Record<NonNullable<PipelineConfig['legacyDb']['dialect']>, DatabaseKind>> = {
  postgres: ofPostgres,
  mariadb: ofMariadb,
  h2: ofH2,
};

export const databaseKinds: readonly DatabaseKind[] = Object.values(byDialect);
