import type { EncodedRecords } from '../port.ts';
import { maxBytesPerBatch } from './request-plan.ts';

/** Larger ones are rare and not kept. */
const largestKept = maxBytesPerBatch + maxBytesPerBatch / 4;
/** As many as some pages under way have batches. */
const mostKept = 16;
const firstCapacity = 256 * 1024;

/** Buffers of record batches, used again once their records are sent: memory outside its heap makes V8 collect its heap, again and again. */
export class RecordBuffers {
  readonly #free: Buffer[] = [];

  /** One of at least so many bytes. */
  take(capacity: number): Buffer {
    const buffer = this.#free.pop();
    if (buffer !== undefined && buffer.length >= capacity) return buffer;
    return Buffer.allocUnsafeSlow(Math.max(capacity, firstCapacity));
  }

  /** Of batches that nobody looks at any more: that are sent, not only handed over. */
  giveBack(batches: readonly EncodedRecords[]): void {
    for (const { records } of batches) {
      // Each batch has a memory of its own, of which its records are the beginning.
      const { buffer } = records;
      if (buffer.byteLength <= largestKept && this.#free.length < mostKept) this.#free.push(Buffer.from(buffer));
    }
  }
}
