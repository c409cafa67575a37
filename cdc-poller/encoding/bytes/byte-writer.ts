/** A buffer that is written from its beginning and grows. Whoever writes into `bytes` reserves the room first and moves `at` on. */
export class ByteWriter {
  bytes: Buffer = Buffer.allocUnsafeSlow(4096);
  /** Bytes written. */
  at = 0;

  /** Makes room for so many bytes more. */
  reserve(room: number): void {
    if (this.at + room <= this.bytes.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(this.bytes.length * 2, this.at + room));
    this.bytes.copy(larger, 0, 0, this.at);
    this.bytes = larger;
  }

  raw(piece: Buffer): void {
    this.reserve(piece.length);
    // A call out of JavaScript costs as much as some forty bytes.
    if (piece.length > 40) {
      this.at += piece.copy(this.bytes, this.at);
      return;
    }
    const { bytes } = this;
    let { at } = this;
    for (let index = 0; index < piece.length; index += 1) {
      bytes[at] = piece[index] ?? 0;
      at += 1;
    }
    this.at = at;
  }

  text(text: string): void {
    this.reserve(text.length * 3);
    this.at += this.bytes.write(text, this.at);
  }
}
