/**
 * Characters that a terminal obeys instead of showing them (escape sequences, backspace, …), and those that turn text around. Line feed and tab
 * are in what we print ourselves.
 */
const obeyed = /(?![\n\t])[\p{Cc}\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu;
const ofLine = /[\n\t]/g;

/** A text as a terminal may be given it: what it would obey is written out, as `\u001b`. Within JSON this is the same text still. */
export function visible(text: string): string {
  return text.replace(obeyed, escaped);
}

/** The same for data that must not begin a line of its own: a key, a value, another program's words in a sentence. */
export function visibleLine(text: string): string {
  return visible(text).replace(ofLine, (character) => (character === '\n' ? String.raw`\n` : String.raw`\t`));
}

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}
