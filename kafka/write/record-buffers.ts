import type { EncodedRecords } from '../port.ts';
import { maxBytesPerBatch } from './request-plan.ts';

/** A full batch, and room for the record that no longer fits it. Larger ones are rare and not kept. */
const largestKept = maxBytesPerBatch + maxBytesPerBatch / 4;
/** As many as some pages under way have batches. */
const mostKept = 16;
/** It becomes the largest one in two steps. */
const firstCapacity = largestKept / 16;

/** Buffers of record batches, used again once their records are sent: memory outside its heap makes V8 collect its heap, again and again. */
export class RecordBuffers {
  readonly #free: Buffer[] = [];

  take(): Buffer {
    return this.#free.pop() ?? Buffer.allocUnsafeSlow(firstCapacity);
  }

  /** Sends batches; their memory is used again once they are sent. After a failure somebody may still read it: it is then left alone. */
  async whileSent(batches: readonly EncodedRecords[], send: () => Promise<void>): Promise<void> {
    await send();
    // Each batch has a memory of its own, of which its records are the beginning.
    this.giveBack(batches.map(({ records }) => records.buffer));
  }

  /** Memory of batches that are sent: nobody reads it any more. */
  giveBack(memory: readonly ArrayBufferLike[]): void {
    for (const one of memory) if (one.byteLength <= largestKept && this.#free.length < mostKept) this.#free.push(Buffer.from(one));
  }
}
