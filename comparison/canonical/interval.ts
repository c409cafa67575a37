/**
 * An interval as months, days and microseconds, the three parts that Postgres keeps apart; from ISO 8601 (`P1Y2M3DT4H5M6.789S`) or from
 * Postgres's own style (`1 year 2 mons 3 days 04:05:06.789`). Other text stays as it is.
 */
export function canonicalInterval(text: string): string {
  const parts = text.startsWith('P') ? fromIso(text) : fromPostgres(text);
  return parts === null ? text : `${parts.months} months ${parts.days} days ${parts.micros} us`;
}

type Parts = { readonly months: bigint; readonly days: bigint; readonly micros: bigint };

function fromIso(text: string): Parts | null {
  const match = /^P(?<date>[^T]*)(?:T(?<time>.+))?$/.exec(text)?.groups;
  if (match === undefined) return null;
  const date = units(match['date'] ?? '');
  const time = units(match['time'] ?? '');
  return {
    months: whole(date.get('Y')) * 12n + whole(date.get('M')),
    days: whole(date.get('W')) * 7n + whole(date.get('D')),
    micros: (whole(time.get('H')) * 3600n + whole(time.get('M')) * 60n) * 1_000_000n + micros(time.get('S')),
  };
}

function units(text: string): ReadonlyMap<string, string> {
  return new Map([...text.matchAll(/(?<amount>[+-]?\d+(?:\.\d+)?)(?<unit>[A-Z])/g)].map((match) => [match[2] ?? '', match[1] ?? '0']));
}

const postgresInterval =
  /^(?:(?<years>[+-]?\d+) years? ?)?(?:(?<months>[+-]?\d+) mons? ?)?(?:(?<days>[+-]?\d+) days? ?)?(?:(?<sign>[+-])?(?<hours>\d+):(?<minutes>\d\d):(?<seconds>\d\d(?:\.\d+)?))?$/;

function fromPostgres(text: string): Parts | null {
  const match = postgresInterval.exec(text)?.groups;
  if (match === undefined || text === '') return null;
  const clock = (whole(match['hours']) * 3600n + whole(match['minutes']) * 60n) * 1_000_000n + micros(match['seconds']);
  return {
    months: whole(match['years']) * 12n + whole(match['months']),
    days: whole(match['days']),
    micros: match['sign'] === '-' ? -clock : clock,
  };
}

function whole(text: string | undefined): bigint {
  return text === undefined ? 0n : BigInt(text.replace('+', '').replace(/\.0+$/, ''));
}

function micros(text: string | undefined): bigint {
  if (text === undefined) return 0n;
  const [seconds = '0', fraction = ''] = text.replace(/^[+-]/, '').split('.');
  const total = BigInt(seconds) * 1_000_000n + BigInt(fraction.slice(0, 6).padEnd(6, '0'));
  return text.startsWith('-') ? -total : total;
}
