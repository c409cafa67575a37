import { decodeRowChange, decodeValue } from '../decode.ts';
import { createScanMemory } from '../scan/scan-event.ts';
import { transactionIdOf } from '../transaction-id.ts';
import { payloadStart } from './frame.ts';
import type { PayloadReader } from './payload-reader.ts';

/** A payload written with a JSON Schema is JSON, as without one. The schema is not needed to read it, and not checked again. */
export function jsonSchemaReader(): PayloadReader {
  // Events of one schema are alike.
  const memory = createScanMemory();
  return {
    value: (bytes, place) => decodeValue(payload(bytes), place),
    change: (bytes, place) => decodeRowChange(payload(bytes), place, memory),
    transaction: (bytes) => transactionIdOf(payload(bytes)),
  };
}

function payload(bytes: Buffer): Buffer {
  return bytes.subarray(payloadStart);
}
