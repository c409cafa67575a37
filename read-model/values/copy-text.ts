import type { CellText } from '../change.ts';

const special = /[\\\t\n\r]/;
const specials = /[\\\t\n\r]/g;
const escapes: Readonly<Record<string, string>> = { '\\': '\\\\', '\t': '\\t', '\n': '\\n', '\r': '\\r' };

const chunkLength = 64 * 1024;

/**
 * Rows in COPY's text format, in chunks. `plain` tells by column that no value of it can need escaping.
 */
export function copyText(rows: Iterable<readonly CellText[]>, plain: readonly boolean[]): Buffer[] {
  const chunks: Buffer[] = [];
  let text = '';
  for (const cells of rows) {
    for (let index = 0; index < plain.length; index += 1) {
      const cell = cells[index];
      if (index > 0) text += '\t';
      if (cell === null || cell === undefined) text += String.raw`\N`;
      else text += plain[index] === true || !special.test(cell) ? cell : cell.replace(specials, escaped);
    }
    text += '\n';
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
