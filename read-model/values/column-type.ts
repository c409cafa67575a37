/**
 * The type of a mirror table's column, from the catalogue: `name` is pg_type.typname of the type itself (a domain's base type),
 * `element` that of an array's elements, `modifier` pg_attribute.atttypmod (the length of bit(n); -1 without).
 */
export type ColumnType = { readonly name: string; readonly element: string | null; readonly modifier: number };
