/** A request to a Debezium connector. Its `id` is in the connector's position while a snapshot runs. */
export type Signal = { readonly id: string; readonly type: 'execute-snapshot' | 'stop-snapshot'; readonly data: string };

/** How a connector hears signals, out of its settings: through a table of the source, or through a topic. */
export type SignalChannel =
  | { readonly kind: 'table'; readonly table: string }
  | { readonly kind: 'topic'; readonly topic: string; readonly key: string };

export type SnapshotRequest = {
  /** `schema.table` */
  readonly tables: readonly string[];
  /** An SQL condition on the rows of each table. */
  readonly where?: string | undefined;
};
