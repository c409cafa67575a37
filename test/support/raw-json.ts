/** The text of a top-level member of a JSON object, byte for byte; undefined when it has none. */
export function rawMember(json: string, name: string): string | undefined {
  for (const [member, text] of rawMembers(json)) if (member === name) return text;
  return undefined;
}

/** Names and raw texts of an object's members. The text must be valid JSON without white space between tokens. */
export function* rawMembers(json: string): IterableIterator<readonly [name: string, text: string]> {
  let at = 1;
  while (at < json.length - 1) {
    const nameEnd = endOfValue(json, at);
    const valueEnd = endOfValue(json, nameEnd + 1);
    const name: unknown = JSON.parse(json.slice(at, nameEnd));
    yield [String(name), json.slice(nameEnd + 1, valueEnd)];
    at = valueEnd + 1;
  }
}

/** Index after the value that starts at `from`. */
function endOfValue(json: string, from: number): number {
  let depth = 0;
  let inString = false;
  for (let at = from; at < json.length; at += 1) {
    const character = json[at];
    if (inString) {
      if (character === '\\') at += 1;
      else if (character === '"') inString = false;
    } else if (character === '"') inString = true;
    else if (character === '{' || character === '[') depth += 1;
    else if (depth === 0 && (character === ',' || character === ':' || character === '}' || character === ']')) return at;
    else if (character === '}' || character === ']') depth -= 1;
  }
  return json.length;
}
