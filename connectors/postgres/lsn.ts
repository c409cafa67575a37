/** A place in the write-ahead log, in bytes since its beginning. */
export type Lsn = bigint;

/** Reads Postgres' own form, `0/16B3748`; undefined for anything else. */
export function parseLsn(text: string): Lsn | undefined {
  const parts = /^(?<high>[0-9A-F]{1,8})\/(?<low>[0-9A-F]{1,8})$/i.exec(text.trim())?.groups;
  if (parts === undefined) return undefined;
  return (BigInt(`0x${parts['high'] ?? '0'}`) << 32n) | BigInt(`0x${parts['low'] ?? '0'}`);
}

/** `0/16B3748` */
export function formatLsn(lsn: Lsn): string {
  return `${(lsn >> 32n).toString(16).toUpperCase()}/${(lsn & 0xff_ff_ff_ffn).toString(16).toUpperCase()}`;
}

/** A size for a person: `0 bytes`, `16.0 MiB`. */
export function formatBytes(bytes: number | bigint): string {
  const units = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'];
  let size = Number(bytes);
  let unit = 0;
  while (size >= 1024 && unit < units.length - 1) {
    size /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? size : size.toFixed(1)} ${units[unit] ?? ''}`;
}
