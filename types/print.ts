import { formatTableId, type TableId } from '#change-events/index.ts';
import { commentLines, quoted, typePrinter, type ObjectShape, type TypePrinter } from '#change-events/types/index.ts';
import { suffixes, tableNames } from './names.ts';
import type { Strategy, TableTypes } from './table-types.ts';

/**
 * The file. Deterministic: the order of `tables` does not matter, and nothing of the day or the place goes in.
 *
 * @param captured all tables that are captured, also those that the file leaves out
 */
export function printFile(tables: readonly TableTypes[], captured: readonly TableId[], strategy: Strategy): string {
  const names = tableNames(captured);
  const nameOf = ({ source }: TableTypes): string => names.get(formatTableId(source)) ?? '';
  const sorted = tables.toSorted((a, b) => (formatTableId(a.source) < formatTableId(b.source) ? -1 : 1));
  const all = Object.values(suffixes);
  const reserved = sorted.flatMap((table) => all.map((suffix) => `${nameOf(table)}${suffix}`));
  const printer = typePrinter([...reserved, 'EventOrigin', 'EventSource', 'EventTransaction']);
  const declarations = sorted.flatMap((table) => declarationsOf(table, nameOf(table), printer));
  return [header(strategy), ...printer.aliases(['Integer']), origin, ...declarations].join('\n');
}

function header(strategy: Strategy): string {
  return `// Made by \`cdc types\` for the ${strategy === 'log' ? 'log-based' : 'query-based'} strategy: make it again rather than change it.
// Values as the decoder of legacy-cdc-bridge gives them, whatever the format on the wire: every digit kept, times, decimals and JSON as text, bytes as base64.
`;
}

const origin = `/** Where an event comes from. What a strategy cannot know is null or missing; more members may come. */
export type EventSource = {
  readonly connector: string;
  readonly name: string;
  readonly db: string;
  readonly schema?: string;
  readonly table: string;
  /** Milliseconds since 1970: when the change was made. */
  readonly ts_ms?: number | null;
  readonly snapshot?: string | boolean | null;
  readonly txId?: Integer | null;
  readonly lsn?: Integer | null;
};

export type EventTransaction = {
  readonly id: string;
  readonly total_order: number;
  readonly data_collection_order: number;
};

export type EventOrigin = {
  readonly source: EventSource;
  readonly transaction?: EventTransaction | null;
  /** Milliseconds since 1970: when the event was made. */
  readonly ts_ms?: number | null;
};
`;

function declarationsOf(table: TableTypes, name: string, printer: TypePrinter): readonly string[] {
  const { source, topic, row, key } = table;
  const what = formatTableId(source);
  const rowName = `${name}${suffixes.row}`;
  const keyName = `${name}${suffixes.key}`;
  const keyShape: ObjectShape = { kind: 'object', members: key };
  return [
    ...printer.declare(rowName, [`A row of ${what}, in events of topic ${topic}.`, ...aboutApart(table)].join('\n'), {
      kind: 'object',
      members: row,
    }),
    ...(key.length === 0
      ? [`${commentLines(`Events of ${what} have no key.`)}export type ${keyName} = null;\n`]
      : printer.declare(keyName, `The key of ${what}.`, keyShape)),
    union(
      `${name}${suffixes.change}`,
      `A change of ${what}, as a handler gets it.`,
      partsOf(table, rowName, keyName).map(
        ({ word, key: of, before, after }) =>
          `{ readonly op: '${word}'; readonly key: ${of}; readonly before: ${before}; readonly after: ${after} }`,
      ),
    ),
    union(
      `${name}${suffixes.event}`,
      `An event of topic ${topic}: the envelope that is in Kafka, decoded.`,
      partsOf(table, rowName, keyName).map(
        ({ letter, before, after }) => `(EventOrigin & { readonly op: '${letter}'; readonly before: ${before}; readonly after: ${after} })`,
      ),
    ),
  ];
}

function aboutApart({ apart }: TableTypes): readonly string[] {
  if (apart.length === 0) return [];
  return [
    'After an update that left a large value alone, the log has a placeholder instead of it: "__debezium_unavailable_value"',
    '(of bytes in base64; of an array a list of it, or of its codes). Keep the value that you have. REPLICA IDENTITY FULL avoids it.',
    `It may be in: ${apart.map((name) => quoted(name)).join(', ')}.`,
  ];
}

function union(name: string, comment: string, parts: readonly string[]): string {
  return `${commentLines(comment)}export type ${name} =\n${parts.map((part) => `  | ${part}`).join('\n')};\n`;
}

type Part = {
  readonly word: 'create' | 'update' | 'delete' | 'read' | 'truncate';
  readonly letter: 'c' | 'u' | 'd' | 'r' | 't';
  readonly key: string;
  readonly before: string;
  readonly after: string;
};

/** The kinds of change that the strategy can know. To a query an insert is an update, a delete is found by the key sweep alone, and nobody sees a truncate. */
function partsOf({ strategy, before, key }: TableTypes, row: string, keyName: string): readonly Part[] {
  const read: Part = { word: 'read', letter: 'r', key: keyName, before: 'null', after: row };
  const old = beforeType({ before, key }, row, keyName);
  const inUpdates = before.kind === 'row' || (before.kind === 'columns' && before.inUpdates) ? `${old} | null` : 'null';
  const update: Part = { word: 'update', letter: 'u', key: keyName, before: inUpdates, after: row };
  const gone: Part = { word: 'delete', letter: 'd', key: keyName, before: old, after: 'null' };
  if (strategy === 'query') return [read, update, gone];
  return [
    read,
    { word: 'create', letter: 'c', key: keyName, before: 'null', after: row },
    update,
    gone,
    { word: 'truncate', letter: 't', key: 'null', before: 'null', after: 'null' },
  ];
}

function beforeType({ before, key }: Pick<TableTypes, 'before' | 'key'>, row: string, keyName: string): string {
  if (before.kind === 'none') return 'null';
  if (before.kind === 'row') return row;
  const isKey = before.columns.length === key.length && key.every(({ name }) => before.columns.includes(name));
  return isKey ? keyName : `Pick<${row}, ${before.columns.map((name) => quoted(name)).join(' | ')}>`;
}
