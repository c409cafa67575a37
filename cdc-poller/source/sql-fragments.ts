/**
 * Pieces of SQL that a query builder must not read: names, a SELECT of the configuration. Builders take dots, question marks, ` as ` and `*`
 * in them for syntax, and have no escape that is safe beside a backslash. A sign that no piece of ours has takes the place of each until the text is built.
 */
export type Fragments = {
  /** The sign that takes the place of the piece. */
  of(sql: string): string;
  /** The text with its pieces; `value` gives what replaces a question mark of the builder's. In one go: no piece is read for another's sign. */
  fill(text: string, value?: (index: number) => string): string;
};

export function createFragments(): Fragments {
  const pieces: string[] = [];
  return {
    of(sql) {
      pieces.push(sql);
      return `⟦${pieces.length - 1}⟧`;
    },
    fill(text, value = () => '?') {
      let values = 0;
      return text.replaceAll(/⟦(\d+)⟧|\?/g, (_, piece: string | undefined) => {
        if (piece !== undefined) return pieces[Number(piece)] ?? '';
        values += 1;
        return value(values - 1);
      });
    },
  };
}
