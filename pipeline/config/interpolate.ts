/** Values by name, as in process.env. */
export type Environment = Readonly<Record<string, string | undefined>>;

export type InterpolationProblems = {
  /** Hears of each name that is neither set nor has a default. */
  readonly onMissing: (name: string) => void;
  /** Hears, in words, of a reference that cannot be read. */
  readonly onMalformed: (problem: string) => void;
};

const start = /\$\{(?<name>[A-Za-z_]\w*)(?<end>\}|:-|:?[?=+]|-)/y;
/** A default within a default, and so on. */
const deepest = 10;

/**
 * Replaces `${NAME}` and `${NAME:-default}` in a scalar, as a shell does: an unset or empty variable takes the default, in which further
 * references may be used. What a variable holds is never interpolated again. Other texts with `${` are left as they are.
 */
export function interpolate(text: string, environment: Environment, problems: InterpolationProblems): string {
  return read(text, 0, 0).value;

  /** Reads from `from` on; within a default up to its closing brace. */
  function read(whole: string, from: number, depth: number): { readonly value: string; readonly end: number } {
    let value = '';
    for (let at = from; at < whole.length;) {
      if (depth > 0 && whole[at] === '}') return { value, end: at + 1 };
      start.lastIndex = at;
      const found = whole[at] === '$' ? start.exec(whole) : null;
      if (found?.index !== at) {
        value += whole[at] ?? '';
        at += 1;
        continue;
      }
      const { name = '', end = '' } = found.groups ?? {};
      at += found[0].length;
      const set = environment[name] ?? '';
      if (end === '}') {
        if (set === '') problems.onMissing(name);
        value += set;
        continue;
      }
      if (end !== ':-') {
        problems.onMalformed(`\${${name}${end}… is not understood: expected \${${name}} or \${${name}:-default}`);
        return { value, end: whole.length };
      }
      if (depth === deepest) {
        problems.onMalformed(`defaults within defaults, more than ${deepest} deep`);
        return { value, end: whole.length };
      }
      const fallback = set === '' ? read(whole, at, depth + 1) : { value: set, end: closingOf(whole, at) };
      value += fallback.value;
      at = fallback.end;
    }
    if (depth > 0) problems.onMalformed('a default, ${NAME:-…, that is not closed by }');
    return { value, end: whole.length };
  }

  /** Past the brace that closes the default that begins at `from`, whatever is in it. */
  function closingOf(whole: string, from: number): number {
    let open = 1;
    for (let at = from; at < whole.length; at += 1) {
      if (whole[at] === '}') open -= 1;
      start.lastIndex = at;
      const found = whole[at] === '$' ? start.exec(whole) : null;
      if (found?.index === at && found.groups?.['end'] !== '}') open += 1;
      else if (found?.index === at) at += found[0].length - 1;
      if (open === 0) return at + 1;
    }
    problems.onMalformed('a default, ${NAME:-…, that is not closed by }');
    return whole.length;
  }
}
