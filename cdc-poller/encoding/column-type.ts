/** A column's type as the catalogue has it: a domain is given as its base type, also among an array's elements. */
export type ColumnType = {
  /** Of a built-in type pg_type.typname, of any other its schema too (`app."interval"`): no type is taken for another of its name. Of the element for an array. */
  readonly name: string;
  readonly isArray: boolean;
  /** pg_attribute.atttypmod; -1 when the type has none. */
  readonly modifier: number;
  /** What parts an array's elements; more than one where elements are arrays in their own right. A comma where it is not given. */
  readonly delimiters?: readonly string[];
};

/** Turns a value's text, as its database gives it, into the contract's JSON text. Never through a JS number or Date. */
export type ValueEncoder = (text: string) => string;
