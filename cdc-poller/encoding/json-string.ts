/** What JSON text must escape, or what Debezium's JSON writer (Jackson) escapes though JSON need not: characters beyond the BMP. */
// oxlint-disable-next-line no-control-regex -- control characters are what is looked for
const special = /["\\\u0000-\u001f\ud800-\udfff]/;
// oxlint-disable-next-line no-control-regex -- as above
const specials = /["\\\u0000-\u001f\ud800-\udfff]/g;

const short: Readonly<Record<string, string>> = {
  '"': String.raw`\"`,
  '\\': String.raw`\\`,
  '\b': String.raw`\b`,
  '\t': String.raw`\t`,
  '\n': String.raw`\n`,
  '\f': String.raw`\f`,
  '\r': String.raw`\r`,
};

/** A JSON string, byte for byte as Jackson writes it: upper-case hex, surrogate pairs as escapes, everything else as it is. */
export function jsonString(text: string): string {
  return special.test(text) ? `"${text.replaceAll(specials, escapeCharacter)}"` : `"${text}"`;
}

function escapeCharacter(character: string): string {
  return short[character] ?? String.raw`\u${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}`;
}
