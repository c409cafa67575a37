/**
 * The statements that a remedy gives, in order: what begins with a word of SQL and ends at a semicolon outside of quotes. A remedy of several ways says "or" between
 * them.
 */
export function waysOf(remedy: string): readonly (readonly string[])[] {
  const ways: string[][] = [[]];
  let at = 0;
  while (at < remedy.length) {
    const rest = remedy.slice(at);
    const or = /^(?:; )?or\b(?: at once)?:? /.exec(rest);
    const statement =
      /^(?:ALTER (?:TABLE|PUBLICATION|ROLE|SYSTEM|DATABASE)|CREATE [A-Z]+|GRANT|REVOKE|INSERT INTO|UPDATE \S+ SET|DELETE FROM|DROP [A-Z]+|SELECT pg_)\b(?:'[^']*'|"[^"]*"|[^;'"])*(?:;|$)/.exec(
        rest,
      );
    const starts = at === 0 || /[\s(]/.test(remedy[at - 1] ?? '');
    if (starts && or !== null) {
      ways.push([]);
      at += or[0].length;
    } else if (starts && statement !== null) {
      ways.at(-1)?.push(statement[0].replace(/;$/, ''));
      at += statement[0].length;
    } else at += 1;
  }
  return ways.filter((way) => way.length > 0);
}
