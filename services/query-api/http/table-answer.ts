import { hash } from 'node:crypto';
import type { QueryApiConfig } from '#pipeline/index.ts';
import { Problem } from '../../http/problems.ts';
import { writeCursor } from '../lists/cursor.ts';
import { readListQuery, readRowQuery, type ListQuery } from '../lists/list-query.ts';
import type { Table } from '../model/catalogue.ts';
import type { Read } from '../model/reader.ts';
import type { Applied } from '../model/readings.ts';

/** A question and the answer to it, wherever it comes from. Pure. */

export type Asked = { readonly name: string; readonly key: readonly string[] | null; readonly parameters: URLSearchParams };

/** Who answered. `legacy-copy`: a standby of the legacy database, or another server in its place. */
export type AnswerSource = 'read-model' | 'last-answer' | 'legacy' | 'legacy-copy';

export type TableAnswer = {
  readonly table: string;
  /** The JSON, or why there is none: a row that is not there is as fresh an answer as one that is. */
  readonly body: string | Problem;
  /** To the next page. */
  readonly link: string | null;
  readonly applied: Applied;
  /** Whether what was asked for by Min-Position is in it. */
  readonly isReached: boolean;
  readonly source: AnswerSource;
  /** How long ago it was read, at the most: since its query was asked. */
  readonly ageMs: number;
};

/** What a request asks of a table. @throws Problem */
export function queryOf(settings: QueryApiConfig, table: Table, { key, parameters }: Asked): ListQuery {
  if (key === null) return readListQuery(table, parameters, settings);
  if (key.length !== table.key.length) {
    const names = table.key.map(({ name }) => name).join('/');
    throw new Problem('not-found', `A row of ${table.name} is at /v1/${encodeURIComponent(table.name)}/ and its key: ${names}.`);
  }
  return readRowQuery(table, key, parameters);
}

export function noTable(model: string, name: string): Problem {
  return new Problem('not-found', `Read model ${model} has no table ${JSON.stringify(name)}. /openapi.json lists those that it has.`);
}

/** What the rows of a page or of a key are in an answer. @throws Problem */
export function answerOf(
  read: Read & { readonly table: Table },
  query: ListQuery,
  asked: Asked,
): Pick<TableAnswer, 'table' | 'body' | 'link' | 'applied'> {
  const page = asked.key === null ? listOf(read, query, asked) : { body: rowBody(read), link: null };
  return { table: read.table.name, applied: read.applied, ...page };
}

function rowBody({ rows: [row] }: Read): string | Problem {
  if (row === undefined) return new Problem('not-found', 'There is no row of this key.');
  if (row[0] === null || row[0] === '') return tooLarge();
  return `${row[0]}\n`;
}

function listOf({ rows, table }: Read & { readonly table: Table }, query: ListQuery, asked: Asked): Pick<TableAnswer, 'body' | 'link'> {
  let link: string | null = null;
  const kept = rows.slice(0, query.limit).filter(([, , , fits]) => fits === 'true');
  if (kept.length === 0 && rows.length > 0) return { body: tooLarge(), link };
  const place = kept.at(-1)?.[2];
  const next = rows.length > kept.length && typeof place === 'string' ? writeCursor(table, query, placeOf(place)) : null;
  if (next !== null) {
    const parameters = new URLSearchParams(asked.parameters);
    parameters.set('cursor', next);
    link = `</v1/${encodeURIComponent(table.name)}?${parameters.toString()}>; rel="next"`;
  }
  return { body: `{"items":[${kept.map(([row]) => row).join(',')}],"next":${JSON.stringify(next)}}\n`, link };
}

/** The texts of the list's order in a row: JSON of Postgres, strings and nulls alone. */
function placeOf(place: string): readonly (string | null)[] {
  const values: unknown = JSON.parse(place);
  return Array.isArray(values) ? values.map((value) => (typeof value === 'string' ? value : null)) : [];
}

function tooLarge(): Problem {
  return new Problem('answer-too-large', 'The row alone is larger than an answer may be. Ask for fewer columns: fields=….');
}

/** Weak: of the rows, and not of how they were read. */
export function etagOf(body: string): string {
  return `W/"${hash('sha256', body, 'base64url').slice(0, 27)}"`;
}

/** If-None-Match. */
export function matches(header: string | undefined, etag: string): boolean {
  if (header === undefined) return false;
  return header.trim() === '*' || header.split(',').some((one) => one.trim().replace(/^W\//, '') === etag.slice(2));
}
