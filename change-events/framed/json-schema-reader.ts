import { decodeRowChange, decodeValue } from '../decode.ts';
import { createScanMemory } from '../scan/scan-event.ts';
import { transactionIdOf } from '../transaction-id.ts';
import { payloadStart } from './frame.ts';
import type { PayloadReader } from './payload-reader.ts';

/** A payload written with a JSON Schema is JSON, as without one. The schema is not needed to read it, and not checked again. */
export function jsonSchemaReader(schema: string): PayloadReader {
  // Events of one schema are alike.
  const memory = createScanMemory();
  return {
    name: nameOf(schema),
    value: (bytes, place) => decodeValue(payload(bytes), place),
    change: (bytes, place) => decodeRowChange(payload(bytes), place, memory),
    transaction: (bytes) => transactionIdOf(payload(bytes)),
  };
}

/** Its title, or the last part of its id. */
function nameOf(schema: string): string | null {
  const parsed: unknown = JSON.parse(schema);
  if (typeof parsed !== 'object' || parsed === null) return null;
  if ('title' in parsed && typeof parsed.title === 'string') return parsed.title;
  if (!('$id' in parsed) || typeof parsed.$id !== 'string') return null;
  return parsed.$id
    .replace(/[/#]+$/, '')
    .replace(/^.*\//s, '')
    .replace(/\.json$/, '');
}

function payload(bytes: Buffer): Buffer {
  return bytes.subarray(payloadStart);
}
