/** Whether it is a text of a timestamp with zone of the ordinary kind, in UTC: four digits of the year, no era. Nearly all are, so they get a short way. */
export function isPlainUtc(text: string): boolean {
  // 43 is a plus sign, 45 a dash, 32 a blank.
  return text.charCodeAt(text.length - 3) === 43 && text.charCodeAt(4) === 45 && text.charCodeAt(10) === 32;
}
