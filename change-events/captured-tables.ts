import type { TableId } from './topic-name.ts';

/** A captured table as its events write it: what tables are made from elsewhere. */
export type CapturedTable = {
  readonly source: TableId;
  /** In the table's order. `type` is one of Postgres, as SQL. */
  readonly columns: readonly {
    readonly name: string;
    readonly type: string;
    /** Its events have the bytes of its text. */
    readonly bytes?: boolean;
    /** The type, and the extension of that name, that holds its values too, where the database has it. `type` is that of others then. */
    readonly extensionType?: string;
  }[];
  /** The event key's columns, in its order; empty where there is none. */
  readonly key: readonly string[];
};

/** What is captured under one topic prefix, and the tables that nothing can be made of, with the reason. */
export type CapturedTables = {
  readonly tables: readonly CapturedTable[];
  readonly unfit: readonly { readonly source: TableId; readonly why: string }[];
};
