import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as z from 'zod';
import { pipelineJsonSchema } from './json-schema.ts';
import { markdownTable } from './markdown.ts';

/** Where the reference of all settings is. */
export const settingsReferenceFile = join(import.meta.dirname, '..', '..', 'docs', 'reference', 'settings.md');

const opening = `# Settings

Every setting of \`pipeline.yaml\`. \`[]\` marks an entry of a list, \`<name>\` a name that you choose. A setting without a
default is optional, unless it says *required*. Times are in milliseconds. Any value can be a reference to the environment: \`\${NAME}\`,
or \`\${NAME:-default}\`. Editors complete and check the file by \`pipeline.schema.json\`.

Generated from \`pipeline/config/\` by \`npm run docs:settings\`. A test fails when it is out of date.
`;

/** As much of a JSON Schema as zod writes for pipeline.yaml. */
type Node = {
  readonly type?: string | readonly string[] | undefined;
  readonly description?: string | undefined;
  readonly default?: unknown;
  readonly enum?: readonly string[] | undefined;
  readonly minimum?: number | undefined;
  readonly exclusiveMinimum?: number | undefined;
  readonly maximum?: number | undefined;
  readonly required?: readonly string[] | undefined;
  readonly properties?: Readonly<Record<string, Node>> | undefined;
  readonly additionalProperties?: Node | boolean | undefined;
  readonly items?: Node | undefined;
  readonly anyOf?: readonly Node[] | undefined;
  readonly pattern?: string | undefined;
};

const node: z.ZodType<Node> = z.lazy(() =>
  z.object({
    type: z.string().or(z.array(z.string())).optional(),
    description: z.string().optional(),
    default: z.unknown().optional(),
    enum: z.array(z.string()).optional(),
    minimum: z.number().optional(),
    exclusiveMinimum: z.number().optional(),
    maximum: z.number().optional(),
    required: z.array(z.string()).optional(),
    properties: z.record(z.string(), node).optional(),
    additionalProperties: node.or(z.boolean()).optional(),
    items: node.optional(),
    anyOf: z.array(node).optional(),
    pattern: z.string().optional(),
  }),
);

export type Setting = { readonly path: string; readonly required: boolean; readonly value: Node };

/** docs/reference/settings.md: the settings as Markdown, one section for each section of pipeline.yaml, in the order of the schema. */
export function settingsReference(): string {
  const sections = Object.entries(root().properties ?? {}).map(([name, section]) => {
    const rows = settingsBelow(name, section).map(({ path, required, value }) => [
      `\`${path.slice(name.length + 1)}\``,
      kindOf(value),
      required ? '*required*' : defaultOf(value),
      (value.description ?? '').replaceAll('<', '&lt;'),
    ]);
    const intro = section.description === undefined ? '' : `\n${section.description}\n`;
    return `\n## ${name}\n${intro}\n${markdownTable(['setting', 'type', 'default', 'what it does'], rows)}`;
  });
  return opening + sections.join('');
}

/** Every setting that holds a value, not further settings. */
export function allSettings(): readonly Setting[] {
  return Object.entries(root().properties ?? {}).flatMap(([name, section]) => settingsBelow(name, section));
}

function root(): Node {
  return node.parse(JSON.parse(pipelineJsonSchema()));
}

function settingsBelow(path: string, { properties = {}, required = [] }: Node): readonly Setting[] {
  return Object.entries(properties).flatMap(([name, value]) => {
    const at = `${path}.${name}`;
    const inner = innerOf(value);
    if (inner !== null) return settingsBelow(at + inner.suffix, inner.node);
    return [{ path: at, required: required.includes(name), value }];
  });
}

/** The settings that a setting consists of: its own, those of each entry of a list, those under each name. */
function innerOf({ properties, items, additionalProperties }: Node): { readonly suffix: string; readonly node: Node } | null {
  if (properties !== undefined) return { suffix: '', node: { properties } };
  if (items?.properties !== undefined) return { suffix: '[]', node: items };
  if (typeof additionalProperties === 'object' && additionalProperties.properties !== undefined)
    return { suffix: '.<name>', node: additionalProperties };
  return null;
}

function kindOf(value: Node): string {
  const kinds = new Set((value.anyOf ?? [value]).flatMap((one) => kindsOf(one)));
  // A reference to the environment will do for every value; it is no kind of its own.
  return [...kinds].join(' or ');
}

function kindsOf(one: Node): readonly string[] {
  if (one.anyOf !== undefined) return one.anyOf.flatMap(kindsOf);
  if (one.enum !== undefined) return one.enum.map((word) => `\`${word}\``);
  if (one.pattern?.startsWith(String.raw`\$\{`) === true) return [];
  if (one.type === 'integer' || one.type === 'number') return [`${one.type === 'integer' ? 'whole number' : 'number'}${rangeOf(one)}`];
  if (one.type === 'array') return ['list'];
  if (one.type === 'object') return ['map'];
  if (Array.isArray(one.type) && one.type.includes('boolean')) return ['true or false'];
  return ['text'];
}

function rangeOf({ minimum, exclusiveMinimum, maximum }: Node): string {
  const least = exclusiveMinimum === undefined ? (minimum ?? null) : exclusiveMinimum;
  const word = exclusiveMinimum === undefined ? 'from' : 'above';
  const from = least === null || least === Number.MIN_SAFE_INTEGER ? '' : ` ${word} ${least}`;
  return maximum === undefined || maximum === Number.MAX_SAFE_INTEGER ? from : `${from} to ${maximum}`;
}

function defaultOf({ default: value }: Node): string {
  if (value === undefined) return '';
  return value === '' ? 'empty' : `\`${typeof value === 'string' ? value : JSON.stringify(value)}\``;
}

if (import.meta.main) writeFileSync(settingsReferenceFile, settingsReference());
