/**
 * Comparing and skipping bytes four at a time: what a loop over single bytes does in JavaScript costs three times as much. Everything here
 * counts from the beginning of the view, not of a Buffer in it.
 */

/** Bytes to compare with, as words and what is left of them. */
export type Literal = { readonly length: number; readonly words: Uint32Array; readonly rest: Uint8Array };

const wordBytes = 4;
const zero = 48;
const nine = 57;
const highBits = 0x80808080;

export function toLiteral(bytes: Uint8Array): Literal {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const whole = bytes.length >> 2;
  return {
    length: bytes.length,
    words: Uint32Array.from({ length: whole }, (_, index) => view.getUint32(index * wordBytes)),
    rest: bytes.slice(whole * wordBytes),
  };
}

let lastView: DataView = new DataView(new ArrayBuffer(0));

/** The memory that `bytes` are part of; messages that came together share one, and so its view. */
export function viewOf(bytes: Buffer): DataView {
  if (bytes.buffer !== lastView.buffer) lastView = new DataView(bytes.buffer);
  return lastView;
}

/** Where `literal` ends, if it is at `at` and before `end`; -1 if not. */
export function endOfLiteral(view: DataView, at: number, end: number, { length, words, rest }: Literal): number {
  if (end - at < length) return -1;
  let place = at;
  for (let index = 0; index < words.length; index += 1) {
    if (view.getUint32(place) !== words[index]) return -1;
    place += wordBytes;
  }
  for (let index = 0; index < rest.length; index += 1) {
    if (view.getUint8(place) !== rest[index]) return -1;
    place += 1;
  }
  return place;
}

/** The first byte from `at` on, before `end`, that is no digit; `end` when all are. */
export function endOfDigits(view: DataView, at: number, end: number): number {
  let place = at;
  while (place + wordBytes <= end && areDigits(view.getUint32(place))) place += wordBytes;
  while (place < end && isDigit(view.getUint8(place))) place += 1;
  return place;
}

export function isDigit(byte: number): boolean {
  return byte >= zero && byte <= nine;
}

/** Whether each of the word's four bytes is 0x30–0x39: its high half is 3, and still is when 6 is added. */
function areDigits(word: number): boolean {
  return (word & 0xf0f0f0f0) === 0x30303030 && ((word + 0x06060606) & 0xf0f0f0f0) === 0x30303030;
}

/** The first byte from `at` on, before `end`, that ends a plain run of JSON text: a quote, a backslash, a control character or no ASCII; -1 without. */
export function endOfPlainText(view: DataView, at: number, end: number): number {
  let place = at;
  while (place + wordBytes <= end && isPlain(view.getUint32(place))) place += wordBytes;
  for (; place < end; place += 1) {
    const byte = view.getUint8(place);
    if (byte === 0x22 || byte === 0x5c || byte < 0x20 || byte >= 0x80) return place;
  }
  return -1;
}

/** Whether none of the word's bytes is special. May say no without reason (a borrow), never yes. See Bit Twiddling Hacks, "Determine if a word has a byte less than n". */
function isPlain(word: number): boolean {
  const quotes = word ^ 0x22222222;
  const backslashes = word ^ 0x5c5c5c5c;
  const special = ((quotes - 0x01010101) & ~quotes) | ((backslashes - 0x01010101) & ~backslashes) | ((word - 0x20202020) & ~word) | word;
  return (special & highBits) === 0;
}
