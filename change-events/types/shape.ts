/** What values of a schema look like to a consumer, after the decoder: what a TypeScript type says. An object that contains itself is the same object again. */
export type TypeShape =
  /** TypeScript as it is: `string`, `Integer`. */
  | { readonly kind: 'plain'; readonly text: 'string' | 'number' | 'boolean' | 'null' | 'Integer' | 'Float' | 'Json' }
  | { readonly kind: 'literals'; readonly values: readonly (string | number | boolean)[] }
  | { readonly kind: 'list' | 'map'; readonly items: TypeShape }
  | { readonly kind: 'either' | 'both'; readonly of: readonly TypeShape[] }
  | { readonly kind: 'object'; readonly members: readonly Member[] };

export type ObjectShape = Extract<TypeShape, { readonly kind: 'object' }>;

export type Member = {
  readonly name: string;
  readonly type: TypeShape;
  /** It may be missing. */
  readonly optional: boolean;
  /** What the type does not say; one line. */
  readonly comment: string | null;
};

export const plain = {
  string: { kind: 'plain', text: 'string' },
  number: { kind: 'plain', text: 'number' },
  boolean: { kind: 'plain', text: 'boolean' },
  null: { kind: 'plain', text: 'null' },
  integer: { kind: 'plain', text: 'Integer' },
  float: { kind: 'plain', text: 'Float' },
  json: { kind: 'plain', text: 'Json' },
} as const satisfies Readonly<Record<string, TypeShape>>;

const operations: TypeShape = { kind: 'literals', values: ['c', 'u', 'd', 'r', 't'] };

/** An envelope's row and the envelope with its letters in `op`, which no Avro schema has; null for what is no envelope. */
export function envelopeOf(shape: TypeShape): { readonly envelope: ObjectShape; readonly row: ObjectShape } | null {
  if (shape.kind !== 'object') return null;
  const of = (name: string): TypeShape | undefined => shape.members.find((member) => member.name === name)?.type;
  const row = objectIn(of('after'));
  if (row === undefined || objectIn(of('before')) !== row || of('op') === undefined || of('source') === undefined) return null;
  const members = shape.members.map((member) => (member.name === 'op' ? { ...member, type: operations } : member));
  return { envelope: { kind: 'object', members }, row };
}

function objectIn(shape: TypeShape | undefined): ObjectShape | undefined {
  if (shape?.kind === 'object') return shape;
  return shape?.kind === 'either' ? shape.of.find((choice) => choice.kind === 'object') : undefined;
}
