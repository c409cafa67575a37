/**
 * A float in the text that Java's Float.toString and Double.toString give it, from Postgres's text (shortest digits that read back the
 * same): plain with at least one decimal between 10^-3 and 10^7, else scientific. The digits are not touched.
 */
export function javaNumber(text: string): string {
  const match = /^(?<sign>-?)(?<whole>\d+)(?:\.(?<fraction>\d+))?(?:e(?<exponent>[+-]\d+))?$/.exec(text);
  if (match === null) throw new TypeError(`not a float: ${text}`);
  const { sign = '', whole = '', fraction = '', exponent = '0' } = match.groups ?? {};
  const all = whole + fraction;
  const digits = all.replace(/^0+/, '').replace(/0+$/, '');
  if (digits === '') return `${sign}0.0`;
  // Place of the first significant digit: 0 for units, -1 for tenths.
  const power = Number(exponent) + whole.length - 1 - (all.length - all.replace(/^0+/, '').length);
  return sign + (power >= -3 && power < 7 ? plain(digits, power) : `${digits[0]}.${digits.slice(1) || '0'}E${power}`);
}

function plain(digits: string, power: number): string {
  if (power < 0) return `0.${'0'.repeat(-power - 1)}${digits}`;
  const whole = digits.slice(0, power + 1).padEnd(power + 1, '0');
  return `${whole}.${digits.slice(power + 1) || '0'}`;
}
