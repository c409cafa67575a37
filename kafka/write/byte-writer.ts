/** Up to this size a buffer grows fourfold, for it will be used again; then twofold. */
const quickGrowth = 512 * 1024;

/** A buffer that is written from its beginning and grows. Whoever writes into `bytes` reserves the room first and moves `at` on. */
export class ByteWriter {
  bytes: Buffer;
  /** Bytes written. */
  at = 0;

  constructor(bytes: Buffer = Buffer.allocUnsafeSlow(4096)) {
    this.bytes = bytes;
  }

  /** Makes room for so many bytes more. */
  reserve(room: number): void {
    if (this.at + room > this.bytes.length) this.grow(room);
  }

  raw(piece: Uint8Array): void {
    this.reserve(piece.length);
    const { bytes } = this;
    let { at } = this;
    // A call costs as much as some twenty bytes of a loop.
    if (piece.length > 20) {
      bytes.set(piece, at);
      this.at = at + piece.length;
      return;
    }
    for (let index = 0; index < piece.length; index += 1) {
      bytes[at] = piece[index] ?? 0;
      at += 1;
    }
    this.at = at;
  }

  text(text: string): void {
    this.reserve(text.length < 4096 ? text.length * 3 : Buffer.byteLength(text));
    this.at += this.bytes.write(text, this.at);
  }

  protected grow(room: number): void {
    const { length } = this.bytes;
    const larger = Buffer.allocUnsafeSlow(Math.max(length * (length < quickGrowth ? 4 : 2), this.at + room));
    this.bytes.copy(larger, 0, 0, this.at);
    this.bytes = larger;
  }
}
