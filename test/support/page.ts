/** A step of a page of the documentation, as far as a test can carry it out. */
export type Step =
  | { readonly kind: 'run'; readonly how: 'ends' | 'fails' | 'until' | 'local'; readonly commands: string }
  | { readonly kind: 'start'; readonly name: string; readonly commands: string }
  | { readonly kind: 'stop'; readonly name: string }
  | { readonly kind: 'write'; readonly file: string; readonly text: string }
  /** Of the command before it, or of one that runs. */
  | { readonly kind: 'expect'; readonly of: string | null; readonly lines: readonly string[] };

/**
 * The fenced blocks of a page, in order. What follows the language says what they are: `sh` runs and ends well; `sh fails` with another exit
 * code; `sh until` is repeated until it shows what is expected; `sh runs NAME` goes on running; `sh once` and `sh yours` are the reader's
 * alone; `sh local` is the way of a reader without a database. `yaml FILE`, `sql FILE` and `js FILE` are files. `text` is what the command before it
 * shows, `text NAME` what one that runs shows from then on. `<!-- test: stop NAME -->` is where the reader presses Ctrl-C.
 */
export function stepsOf(page: string): readonly Step[] {
  const marks = /^```(?<info>[^\n]*)\n(?<body>.*?)^```$|<!-- test: stop (?<stopped>\w+) -->/gms;
  return [...page.matchAll(marks)].flatMap(({ groups }) => {
    const { info = '', body = '', stopped } = groups ?? {};
    if (stopped !== undefined) return [{ kind: 'stop', name: stopped }];
    const step = stepOf(info.trim().split(' '), body);
    return step === null ? [] : [step];
  });
}

function stepOf([language = '', word, name = '']: readonly string[], body: string): Step | null {
  switch (language) {
    case 'text':
      return { kind: 'expect', of: word ?? null, lines: body.split('\n').filter((line) => line.trim() !== '') };
    case 'yaml':
    case 'sql':
    case 'js':
      return word === undefined ? null : { kind: 'write', file: word, text: body };
    case 'sh':
      if (word === 'once' || word === 'yours') return null;
      if (word === 'runs') return { kind: 'start', name, commands: body };
      if (word === undefined) return { kind: 'run', how: 'ends', commands: body };
      if (word === 'fails' || word === 'until' || word === 'local') return { kind: 'run', how: word, commands: body };
      throw new Error(`a block "sh ${word}": the test does not know what to do with it`);
    default:
      throw new Error(`a block "${language}": the test does not know what to do with it`);
  }
}

/** The lines of `expected` that `output` has not; an ellipsis means any text, and blanks count as one. */
export function missingLines(output: string, expected: readonly string[]): readonly string[] {
  const shown = output.split('\n').map(oneBlank);
  return expected.filter((line) => {
    const pieces = line.split('…').map((piece) => RegExp.escape(oneBlank(piece)));
    const pattern = new RegExp(pieces.join('.*'));
    return !shown.some((one) => pattern.test(one));
  });
}

function oneBlank(line: string): string {
  return line.trim().replaceAll(/\s+/g, ' ');
}
