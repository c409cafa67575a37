/**
 * The type of a mirror table's column, from the catalogue: `name` is that of the type itself (a domain's base type), `element` that of an array's elements,
 * `modifier` pg_attribute.atttypmod (the length of bit(n); -1 without). A built-in type is named as in pg_type, any other with its schema, so that none is
 * taken for another of its name.
 */
export type ColumnType = {
  readonly name: string;
  readonly element: string | null;
  readonly modifier: number;
  /** What parts an array's elements, a comma where it is not given; more than one where elements are arrays in their own right (of a domain over an array). */
  readonly delimiters?: readonly string[];
  /** pg_type.typtype of the type, or of an array's elements. */
  readonly kind?: string;
};

/** What parts the elements of an oidvector or int2vector, which has no braces. */
export const vectorDelimiter = ' ';
