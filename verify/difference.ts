import { hash } from 'node:crypto';
import type { ReadRow } from '#cdc-poller/rows.ts';
import type { Column } from '#comparison/canonical/shape.ts';
import { canonicalText } from './values.ts';

/** A key that is asked for on both sides, in the words of each. */
export type Suspect = {
  /** The same on both sides. */
  readonly name: string;
  /** As people read it. */
  readonly key: string;
  readonly sourceKey: readonly string[];
  readonly mirrorKey: readonly string[];
};

/**
 * `missing`: in the source, not in the mirror. `ghost`: in the mirror, not in the source. `stale`: in both, and columns differ. `notComparable`: in both, and no column
 * differs but in a value that the log's events do not carry.
 */
export type DifferenceKind = 'missing' | 'ghost' | 'stale' | 'notComparable';

export type Difference = {
  readonly kind: DifferenceKind;
  readonly key: string;
  /** Of a row in both, what differs: the beginnings of both values, as JSON of the contract. */
  readonly columns: readonly { readonly name: string; readonly source: string; readonly mirror: string }[];
};

/** A row in few bytes, whatever its values: of each what it means, or the hash of that, and how it begins. */
export type Image = {
  readonly version: string | null;
  readonly values: readonly {
    readonly means: string;
    readonly shown: string;
    /** The log's events may have another value in its place, or none. */
    readonly isLost: boolean;
  }[];
};

/** A hash is shorter than what is longer than this. */
const longest = 100;

/** @param isLost whether a column's value, as JSON text of the contract, is lost on the way; none by default */
export function imageOf(
  columns: readonly Column[],
  { version, values }: Pick<ReadRow, 'version' | 'values'>,
  isLost: (column: string, text: string) => boolean = () => false,
): Image {
  return {
    version,
    values: columns.map((column, at) => {
      const text = values[at] ?? 'null';
      const means = canonicalText(column, text);
      return {
        means: means.length > longest ? hash('sha256', means, 'base64url') : means,
        shown: cut(text),
        isLost: isLost(column.name, text),
      };
    }),
  };
}

function cut(text: string): string {
  return text.length <= longest ? text : `${text.slice(0, longest).replace(/[\ud800-\udbff]$/, '')}… (${text.length} characters)`;
}

type Side = Image | undefined;

/** How a row of the source and that of the mirror differ; null where they are the same. What is lost on the way counts only where nothing else differs. Pure. */
function differenceOf(columns: readonly Column[], key: string, source: Side, mirror: Side): Difference | null {
  if (source === undefined) return mirror === undefined ? null : { kind: 'ghost', key, columns: [] };
  if (mirror === undefined) return { kind: 'missing', key, columns: [] };
  const different = columns.flatMap(({ name }, at) => {
    const [here, there] = [source.values[at], mirror.values[at]];
    if (here?.means === there?.means) return [];
    return [{ isLost: here?.isLost ?? false, column: { name, source: here?.shown ?? '', mirror: there?.shown ?? '' } }];
  });
  if (different.length === 0) return null;
  const stale = different.filter(({ isLost }) => !isLost);
  if (stale.length === 0) return { kind: 'notComparable', key, columns: different.map(({ column }) => column) };
  return { kind: 'stale', key, columns: stale.map(({ column }) => column) };
}

/** Whether a row of the source is the same version in two looks. */
function isUnmoved(first: Side, second: Side): boolean {
  if (first === undefined || second === undefined) return first === second;
  return first.version === second.version && first.values.every(({ means }, at) => means === second.values[at]?.means);
}

/**
 * What is known of a suspect after the source was read, the mirror had come past that moment and was read, and the source was read once more. A row that
 * did not change at the source from the first look to the last is what the mirror must have; of one that moved nothing is known.
 */
export function judge(
  columns: readonly Column[],
  { key }: Pick<Suspect, 'key'>,
  looks: { readonly before: Side; readonly mirror: Side; readonly after: Side },
): Difference | 'same' | 'moved' {
  const difference = differenceOf(columns, key, looks.after, looks.mirror);
  if (difference === null) return 'same';
  return isUnmoved(looks.before, looks.after) ? difference : 'moved';
}
