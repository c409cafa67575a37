import { basename } from 'node:path';

/** A header of a projection's file: what it says, and on which line. */
export type Header = { readonly text: string; readonly line: number };

/** A projection's file, as far as it can be read without its SQL: the comments at its top. */
export type ProjectionFile = {
  readonly file: string;
  /** The view's: the file's without `.sql`. */
  readonly name: string;
  readonly text: string;
  readonly key: Header | null;
  readonly touchedBy: readonly (Header & { readonly mirror: string })[];
  readonly indexes: readonly Header[];
  readonly problems: readonly FileProblem[];
};

export type FileProblem = { readonly file: string; readonly line: number; readonly text: string };

const header = /^(?:(?<word>key|index)\s*:|touched\s+by\s+(?<mirror>"(?:[^"]|"")+"|[^\s:]+)\s*:)(?<text>.*)$/i;

/**
 * Reads the headers of projections' files: `-- key: a, b`, `-- touched by <mirror>: SELECT …`, `-- index: a, b`. What follows such a line
 * as comments goes on with it, up to an empty one; other comments are the reader's.
 */
export function readProjections(files: readonly { readonly file: string; readonly text: string }[]): readonly ProjectionFile[] {
  return files.map(readProjection);
}

function readProjection({ file, text }: { readonly file: string; readonly text: string }): ProjectionFile {
  const problems: FileProblem[] = [];
  const found: { word: string; mirror: string; text: string; line: number }[] = [];
  let current: (typeof found)[number] | null = null;
  for (const [index, line] of text.split('\n').entries()) {
    const trimmed = line.trim();
    if (trimmed === '') {
      current = null;
      continue;
    }
    if (!trimmed.startsWith('--')) break;
    const comment = trimmed.slice(2).trim();
    const groups = header.exec(comment)?.groups;
    if (groups !== undefined) {
      current = {
        word: groups['word']?.toLowerCase() ?? 'touched by',
        mirror: unquoted(groups['mirror'] ?? ''),
        text: groups['text']?.trim() ?? '',
        line: index + 1,
      };
      found.push(current);
    } else if (comment === '') current = null;
    else if (current?.word === 'touched by') current.text += `\n${comment}`;
  }
  const keys = found.filter(({ word }) => word === 'key');
  const [key] = keys;
  if (key === undefined) problems.push({ file, line: 1, text: 'it has no key: begin with a line -- key: column, column' });
  const again = keys[1];
  if (again !== undefined) problems.push({ file, line: again.line, text: 'it has a second key: name all its columns in one line' });
  const name = basename(file).replace(/\.sql$/, '');
  if (name === '' || Buffer.byteLength(name) > 63)
    problems.push({ file, line: 1, text: 'the file’s name is the view’s: 1 to 63 bytes before .sql' });
  return {
    file,
    name,
    text,
    key: key ?? null,
    touchedBy: found.filter(({ word }) => word === 'touched by'),
    indexes: found.filter(({ word }) => word === 'index'),
    problems,
  };
}

/** A name as SQL has it: in lower case, unless it is in quotes. */
function unquoted(name: string): string {
  return name.startsWith('"') ? name.slice(1, -1).replaceAll('""', '"') : name.toLowerCase();
}
