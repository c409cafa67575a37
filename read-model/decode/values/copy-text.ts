import type { CellText, Lsn } from '../change.ts';

const special = /[\\\t\n\r]/;
const specials = /[\\\t\n\r]/g;
const escapes: Readonly<Record<string, string>> = { '\\': '\\\\', '\t': '\\t', '\n': '\\n', '\r': '\\r' };

const chunkLength = 64 * 1024;

type CopiedRow = { readonly cells: readonly CellText[]; readonly lsn: Lsn };

/** Rows in COPY's text format, their log position last, in chunks. `plain` says by column that no value of it can need escaping. */
export function copyText(rows: readonly CopiedRow[], plain: readonly boolean[]): Buffer[] {
  const chunks: Buffer[] = [];
  let text = '';
  for (const { cells, lsn } of rows) {
    for (let index = 0; index < plain.length; index += 1) {
      const cell = cells[index];
      if (cell === null || cell === undefined) text += '\\N\t';
      else if (plain[index] === true || !special.test(cell)) text += `${cell}\t`;
      else text += `${cell.replace(specials, escaped)}\t`;
    }
    text += lsn === null ? '\\N\n' : `${lsn}\n`;
    if (text.length < chunkLength) continue;
    chunks.push(Buffer.from(text));
    text = '';
  }
  if (text !== '') chunks.push(Buffer.from(text));
  return chunks;
}

function escaped(character: string): string {
  return escapes[character] ?? character;
}
