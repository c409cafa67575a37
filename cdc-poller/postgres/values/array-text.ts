/** The elements of an array's text: texts, NULLs, and arrays of further dimensions. */
export type ArrayElements = readonly (string | null | ArrayElements)[];

/** What separates the elements of an oidvector or int2vector, which has no braces. */
export const vectorDelimiter = ' ';

const needless: ReadonlySet<string> = new Set([' ', '\t', '\n', '\r', '\v', '\f']);

/**
 * Reads an array as Postgres writes it: `{1,NULL,"a b"}`, `[0:1]={1,2}`, `{(1,1),(0,0);(3,3),(2,2)}`. Which character parts elements is a matter of their type
 * (pg_type.typdelim), which is why no library does: a box' text is full of commas. Lower bounds are dropped.
 *
 * `delimiters`: one, or more where elements are arrays in their own right (of a domain over an array), the outermost first.
 *
 * @throws TypeError when it is no array
 */
export function parseArray(text: string, delimiters: readonly string[]): ArrayElements {
  const [delimiter = ',', ...inner] = delimiters;
  const elements = delimiter === vectorDelimiter ? vectorElements(text) : new ArrayReader(text, delimiter).read();
  return inner.length === 0 ? elements : mapElements(elements, (element) => parseArray(element, inner));
}

/** Elements in place of texts; NULLs and dimensions stay. */
function mapElements(elements: ArrayElements, parse: (text: string) => ArrayElements): ArrayElements {
  return elements.map((element) => (element === null ? null : typeof element === 'string' ? parse(element) : mapElements(element, parse)));
}

function vectorElements(text: string): ArrayElements {
  return text === '' ? [] : text.split(vectorDelimiter);
}

class ArrayReader {
  readonly #text: string;
  readonly #delimiter: string;
  #at = 0;

  constructor(text: string, delimiter: string) {
    this.#text = text;
    this.#delimiter = delimiter;
    // Bounds, where they do not begin at one: `[0:1]={…}`.
    if (text.startsWith('[')) this.#at = text.indexOf('=') + 1;
  }

  read(): ArrayElements {
    const elements = this.#dimension();
    if (this.#at !== this.#text.length) throw this.#unexpected();
    return elements;
  }

  #dimension(): ArrayElements {
    const text = this.#text;
    if (text[this.#at] !== '{') throw this.#unexpected();
    this.#at += 1;
    const elements: (string | null | ArrayElements)[] = [];
    if (text[this.#at] === '}') {
      this.#at += 1;
      return elements;
    }
    for (;;) {
      const first = text[this.#at];
      elements.push(first === '{' ? this.#dimension() : first === '"' ? this.#quoted() : this.#plain());
      const next = text[this.#at];
      this.#at += 1;
      if (next === '}') return elements;
      if (next !== this.#delimiter) throw this.#unexpected();
    }
  }

  #quoted(): string {
    const text = this.#text;
    let element = '';
    let from = this.#at + 1;
    for (let at = from; at < text.length; at += 1) {
      const character = text[at];
      if (character === '"') {
        this.#at = at + 1;
        return element + text.slice(from, at);
      }
      if (character === '\\') {
        element += text.slice(from, at);
        // What follows has no special meaning.
        from = at + 1;
        at = from;
      }
    }
    throw this.#unexpected();
  }

  #plain(): string | null {
    const text = this.#text;
    const from = this.#at;
    while (this.#at < text.length && text[this.#at] !== this.#delimiter && text[this.#at] !== '}') {
      if (needless.has(text[this.#at] ?? '')) throw this.#unexpected();
      this.#at += 1;
    }
    if (this.#at === from) throw this.#unexpected();
    const element = text.slice(from, this.#at);
    return element === 'NULL' ? null : element;
  }

  #unexpected(): TypeError {
    return new TypeError(`not an array's text, at character ${this.#at}`);
  }
}
