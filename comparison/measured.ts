/** A value that was measured, or the reason why it was not: never a zero that nobody counted. */
export type Measured<T> = { readonly measured: true; readonly value: T } | { readonly measured: false; readonly why: string };

export function measured<T>(value: T): Measured<T> {
  return { measured: true, value };
}

export function notMeasured(why: string): { readonly measured: false; readonly why: string } {
  return { measured: false, why };
}
