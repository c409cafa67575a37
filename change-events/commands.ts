import { writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import Table from 'cli-table3';
import { Command } from 'commander';
import { CdcError, type CliContext } from '#pipeline/index.ts';
import { openRegistry } from './registry/client.ts';
import { defaultSubjects, listSubjects, readSubject, type SubjectRow } from './registry/subjects.ts';
import type { Registry } from './registry/registry.ts';
import { typesOfSubjects, type SubjectSchema } from './types/generate.ts';

/** `cdc schemas list|show|types`; the poller adds `check`. */
export function schemasCommand(context: CliContext): Command {
  const command = new Command('schemas').description('schemas in the registry, and types for consumers');

  command
    .command('list')
    .description('list subjects with versions, ids and compatibility levels')
    .option('--json', 'print JSON')
    .action(async ({ json = false }: { readonly json?: boolean }) => {
      const rows = await listSubjects(await registryOf(context), context.signal);
      context.print(json ? JSON.stringify(rows, null, 2) : listTable(rows));
    });

  command
    .command('show')
    .description('show one schema')
    .argument('<subject>', 'with @ and a number: that version; otherwise the newest')
    .option('--json', 'print JSON')
    .action(async (name: string, { json = false }: { readonly json?: boolean }) => {
      const found = await readSubject(await registryOf(context), name, context.signal);
      context.print(json ? asJson(found) : describeSchema(found));
    });

  command
    .command('types')
    .description('generate TypeScript types of what consumers get from the decoder')
    .argument('[subject...]', 'as for show; default: all subjects of tables')
    .option('--out <file>', 'write them to this file')
    .action(async (names: readonly string[], { out }: { readonly out?: string }) => {
      const registry = await registryOf(context);
      const subjects = names.length > 0 ? names : await defaultSubjects(registry, context.signal);
      const schemas: SubjectSchema[] = [];
      for (const name of subjects) schemas.push(await readSubject(registry, name, context.signal));
      const text = typesOfSubjects(schemas);
      if (out === undefined) {
        context.print(text.trimEnd());
        return;
      }
      await writeFile(resolve(out), text);
      context.print(`${out}: types of ${schemas.length} subjects`);
    });

  return command;
}

async function registryOf(context: CliContext): Promise<Registry> {
  const { schemaRegistry } = await context.config();
  if (schemaRegistry === undefined) throw new CdcError('CONFIG_INVALID', 'pipeline.yaml has no schemaRegistry section');
  return openRegistry(schemaRegistry);
}

function listTable(rows: readonly SubjectRow[]): string {
  if (rows.length === 0) return 'The registry has no subjects.';
  const table = new Table({ head: ['subject', 'type', 'versions', 'newest id', 'compatibility'], style: { head: [], border: [] } });
  for (const { subject, type, versions, id, compatibility } of rows) {
    table.push([subject, type, versions.join(', '), id, compatibility ?? "the registry's default"]);
  }
  return table.toString();
}

function describeSchema({ subject, version, id, schema }: SubjectSchema): string {
  const references = schema.references.map(({ name }) => `refers to ${name}\n`).join('');
  return `${subject}, version ${version}, id ${id}, ${schema.schemaType}\n${references}${indented(schema)}`;
}

function asJson({ subject, version, id, schema }: SubjectSchema): string {
  const references = schema.references.map((reference) => reference.name);
  return JSON.stringify({ subject, version, id, type: schema.schemaType, schema: schema.schema, references }, null, 2);
}

/** A schema as it was registered, on lines of its own: its tokens stay as they are, so that no digit of a default is rounded. */
function indented({ schema, schemaType }: SubjectSchema['schema']): string {
  if (schemaType === 'PROTOBUF') return schema;
  let depth = 0;
  const line = (): string => `\n${'  '.repeat(depth)}`;
  return schema.replaceAll(/"(?:[^"\\]|\\.)*"|\{\s*\}|\[\s*\]|[{}[\],:]|\s+/g, (token) => {
    if (token === '{' || token === '[') {
      depth += 1;
      return `${token}${line()}`;
    }
    if (token === '}' || token === ']') {
      depth -= 1;
      return `${line()}${token}`;
    }
    if (token === ',') return `,${line()}`;
    return token === ':' ? ': ' : token.trim();
  });
}
