import { CdcError, describeError } from '#pipeline/index.ts';
import type { RegisteredSchema } from '../registry/registry.ts';
import { avroShape } from './avro-shape.ts';
import { jsonSchemaShape } from './json-schema-shape.ts';
import { printTypes } from './print.ts';
import type { TypeShape } from './shape.ts';
import { subjectParts, typeNames } from './subject-names.ts';

/** A version of a subject with its schema and what that refers to. */
export type SubjectSchema = { readonly subject: string; readonly version: number; readonly id: number; readonly schema: RegisteredSchema };

/**
 * A TypeScript file with the types of what consumers meet under these subjects once `eventDecoder` has decoded it. Deterministic: the order of
 * `subjects` does not matter, and nothing of the day or the place goes in.
 *
 * @throws CdcError SCHEMA_INVALID for a schema that cannot be read, or of a kind that this project does not read
 */
export function typesOfSubjects(subjects: readonly SubjectSchema[]): string {
  const sorted = subjects.toSorted((a, b) => (a.subject < b.subject ? -1 : a.subject > b.subject ? 1 : 0));
  const names = typeNames(sorted.map(({ subject }) => subject));
  const types = sorted.map((one) => {
    const { subject, version, id } = one;
    const { topic, part } = subjectParts(subject);
    const what = part === null ? subject : `${topic}, ${part}`;
    return { name: names.get(subject) ?? '', comment: `${what}: version ${version}, id ${id}.`, shape: shapeOf(one) };
  });
  return `${header}\n${printTypes(types)}`;
}

const header = `// Made by \`cdc schemas types\`: make it again rather than change it.
// Values as the decoder of change-events gives them: every digit kept, times and decimals as text, bytes as base64.
`;

/** What values of a subject look like. @throws CdcError SCHEMA_INVALID */
export function shapeOf({ subject, version, schema }: SubjectSchema): TypeShape {
  try {
    if (schema.schemaType === 'AVRO') return avroShape(schema);
    if (schema.schemaType === 'JSON') return jsonSchemaShape(schema);
  } catch (error) {
    throw new CdcError('SCHEMA_INVALID', `version ${version} of subject ${subject} cannot be read: ${describeError(error)}`, {
      cause: error,
    });
  }
  throw new CdcError('SCHEMA_INVALID', `subject ${subject} is of type ${schema.schemaType}, which is not read`, {
    remedy: 'Name the subjects to make types of: those of Avro and JSON Schema.',
  });
}
