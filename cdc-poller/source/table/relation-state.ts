import type { CatalogTable } from './catalog-table.ts';

/** Stands among `rows` where policies hide rows from the role that read the state. */
export const hidden = 'hidden';

/** What a page of the relation is compared with. */
export function pageStateOf({ oid, columnsHash, keyIndex, rows }: NonNullable<CatalogTable['relation']>): string {
  return [oid, columnsHash, keyIndex, ...(rows === undefined ? [] : [rows])].join('/');
}

export function parseRelationState(text: string): NonNullable<CatalogTable['relation']> {
  const [oid = '', file = '', columnsHash = '', keyIndex = '', rows = ''] = text.split('/');
  return { oid, file, columnsHash, keyIndex, rows };
}

export function formatRelationState({ oid, file, columnsHash, keyIndex, rows = '' }: NonNullable<CatalogTable['relation']>): string {
  return [oid, file, columnsHash, keyIndex, rows].join('/');
}

/** Whether policies hide rows of it from the role that read the state. */
export function hidesRows({ rows = '' }: NonNullable<CatalogTable['relation']>): boolean {
  return rows.split(',').includes(hidden);
}
