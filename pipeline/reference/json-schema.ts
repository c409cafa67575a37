import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod';
import { pipelineSchema } from '../config/schema.ts';

/** Where the published JSON Schema of pipeline.yaml is, for editors to complete and check it. */
export const jsonSchemaFile = join(import.meta.dirname, '..', '..', 'pipeline.schema.json');

/** `${NAME}` is replaced by a value that only the environment knows. */
const reference = { type: 'string', pattern: String.raw`\$\{[A-Za-z_]\w*(:-[^}]*)?\}` } as const;

/**
 * The JSON Schema of pipeline.yaml, derived from the zod schema that `cdc` validates with. It describes what a person writes: a
 * setting with a default is optional, and where a number or a text of a certain form is expected, a `${NAME}` reference will do.
 */
export function pipelineJsonSchema(): string {
  const schema = z.toJSONSchema(pipelineSchema, { io: 'input', override: refine });
  return `${JSON.stringify(schema, null, 2)}\n`;
}

function refine({ zodSchema, jsonSchema }: { zodSchema: z.core.$ZodTypes; jsonSchema: z.core.JSONSchema.BaseSchema }): void {
  // zod leaves the default out where the written form differs from the read one (a number may be written as a text).
  if (zodSchema instanceof z.ZodDefault) jsonSchema.default = zodSchema.def.defaultValue;
  allowReference(jsonSchema);
}

function allowReference(schema: z.core.JSONSchema.BaseSchema): void {
  const isConstrained =
    schema.type === 'integer' || schema.type === 'number' || 'enum' in schema || 'pattern' in schema || 'format' in schema;
  if (!isConstrained) return;
  const constraints = Object.entries(schema).filter(([name]) => name !== 'description' && name !== 'default');
  for (const [name] of constraints) delete schema[name];
  schema.anyOf = [Object.fromEntries(constraints), reference];
}

if (import.meta.main) writeFileSync(jsonSchemaFile, pipelineJsonSchema());
