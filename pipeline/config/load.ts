import { readFile } from 'node:fs/promises';
import { isMap, isPair, isScalar, LineCounter, parseDocument, visit, type Document } from 'yaml';
import type * as z from 'zod';
import { CdcError, describeError } from '../errors.ts';
import { interpolate, type Environment } from './interpolate.ts';
import { pipelineSchema, type PipelineConfig } from './schema.ts';
import { withSecretFiles } from './secret-files.ts';

/**
 * Reads, interpolates and validates a pipeline.yaml. A variable that is not set may come from a file ({@link withSecretFiles}).
 *
 * @throws CdcError CONFIG_NOT_FOUND, CONFIG_SYNTAX, CONFIG_ENV_MISSING or CONFIG_INVALID; each problem names file, line, path and
 *   what was expected, and all problems of a kind are reported at once
 */
export async function loadConfig(file: string, environment: Environment): Promise<PipelineConfig> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    throw new CdcError('CONFIG_NOT_FOUND', `${file}: ${describeError(error)}`, { cause: error });
  }
  return parseConfig(text, file, await withSecretFiles(text, environment));
}

/** The path of a setting: `["readModel", "models", "m", "tables", 0]`. */
export type SettingPath = readonly (string | number)[];

/** Names a setting's place in an error. */
export type Locate = (path: SettingPath) => string;

/** Names places in a file that was loaded: `pipeline.yaml:12: readModel.models.m.tables[0]`. */
export async function locateIn(file: string): Promise<Locate> {
  const lines = new LineCounter();
  const document = readYaml(await readFile(file, 'utf8'), file, lines);
  return (path) => `${file}:${lines.linePos(offsetOf(document, path)).line}: ${formatPath(path)}`;
}

/** {@link loadConfig} on a text; `file` is only named in errors. */
export function parseConfig(text: string, file: string, environment: Environment): PipelineConfig {
  const lines = new LineCounter();
  const document = readYaml(text, file, lines);
  const [syntaxError] = document.errors;
  if (syntaxError !== undefined) throw invalidYaml(file, lines.linePos(syntaxError.pos[0]).line, withoutSource(syntaxError.message));
  const lastAlias = refuseUnfitAliases(document, file, lines);
  interpolateScalars(document, file, lines, environment);
  // One value is parsed: code compiled for many would take longer than it saves.
  const parsed = pipelineSchema.safeParse(toPlain(document, file, lastAlias), { jitless: true });
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues
    .flatMap(flattenUnion)
    .flatMap(oneUnknownKeyEach)
    .map((issue) => describeIssue(issue, document, file, lines));
  throw new CdcError('CONFIG_INVALID', problems.join('\n'));
}

/** Without the parser's error as cause: its message quotes the file, which may have a password in it. */
function invalidYaml(file: string, line: number, problem: string): CdcError {
  return new CdcError('CONFIG_SYNTAX', `${file}:${line}: ${problem}`);
}

/** The parser ends some of its messages with the text that it stumbled over. */
function withoutSource(message: string): string {
  return message.replace(/(?<=\w): .*$/s, '');
}

/** What a person writes is a few levels deep; the parser goes as deep as its stack. */
function readYaml(text: string, file: string, lines: LineCounter): Document.Parsed {
  try {
    return parseDocument(text, { lineCounter: lines, schema: 'core', prettyErrors: false });
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw invalidYaml(file, 1, 'lists or maps are nested too deep to be read');
  }
}

/** Most nodes that all aliases together may expand to. */
const aliasesMost = 10_000;

function toPlain(document: Document, file: string, lastAlias: number): unknown {
  try {
    return document.toJS({ maxAliasCount: aliasesMost });
  } catch (error) {
    if (error instanceof ReferenceError) throw invalidYaml(file, lastAlias, `aliases of aliases expand to more than ${aliasesMost} values`);
    if (error instanceof RangeError) throw invalidYaml(file, 1, 'lists or maps are nested too deep to be read');
    throw error;
  }
}

/** A value such as `*secret`, not quoted, is an alias to YAML. Gives the line of the last alias. */
function refuseUnfitAliases(document: Document, file: string, lines: LineCounter): number {
  let last = 1;
  visit(document, {
    Alias(_key, node, path) {
      last = lines.linePos(node.range?.[0] ?? 0).line;
      const resolved = node.resolve(document);
      if (resolved === undefined) throw invalidYaml(file, last, 'an alias whose anchor does not exist; quote a text that starts with *');
      if (path.some((parent) => parent === resolved)) throw invalidYaml(file, last, 'an alias inside the value that it refers to');
    },
  });
  return last;
}

function interpolateScalars(document: Document, file: string, lines: LineCounter, environment: Environment): void {
  const missing: string[] = [];
  visit(document, {
    Scalar(_key, node) {
      if (typeof node.value !== 'string') return;
      const line = (): number => lines.linePos(node.range?.[0] ?? 0).line;
      node.value = interpolate(node.value, environment, {
        onMissing: (name) => missing.push(`${file}:${line()}: environment variable ${name} is not set`),
        onMalformed: (problem) => {
          throw invalidYaml(file, line(), problem);
        },
      });
    },
  });
  if (missing.length > 0) throw new CdcError('CONFIG_ENV_MISSING', missing.join('\n'));
}

/** An alternative's own complaint says more than "Invalid input": the one that got furthest is shown. */
function flattenUnion(issue: z.core.$ZodIssue): z.core.$ZodIssue[] {
  if (issue.code !== 'invalid_union') return [issue];
  const [first] = issue.errors.toSorted((a, b) => longestPath(b) - longestPath(a));
  if (first === undefined) return [issue];
  return first.map((inner) => ({ ...inner, path: [...issue.path, ...inner.path] }));
}

/** Each unknown setting gets a line of its own. */
function oneUnknownKeyEach(issue: z.core.$ZodIssue): z.core.$ZodIssue[] {
  if (issue.code !== 'unrecognized_keys') return [issue];
  return issue.keys.map((key) => ({ ...issue, keys: [key], path: [...issue.path, key], message: 'unknown setting' }));
}

function longestPath(issues: readonly z.core.$ZodIssue[]): number {
  return Math.max(0, ...issues.map((issue) => issue.path.length));
}

function describeIssue(issue: z.core.$ZodIssue, document: Document, file: string, lines: LineCounter): string {
  const line = lines.linePos(offsetOf(document, issue.path)).line;
  return `${file}:${line}: ${formatPath(issue.path)}: ${issue.message.replace(/^Invalid input: /, '').replace(/, received undefined$/, ', which is missing')}`;
}

/** `poller.tables[1].mode` */
export function formatPath(path: readonly PropertyKey[]): string {
  const text = path.map((step) => (typeof step === 'number' ? `[${step}]` : `.${String(step)}`)).join('');
  return text === '' ? '(top level)' : text.replace(/^\./, '');
}

/** Where the node at `path` starts; for a missing node, its nearest parent that is there. */
function offsetOf(document: Document, path: readonly PropertyKey[]): number {
  for (let length = path.length; length > 0; length -= 1) {
    const parent = document.getIn(path.slice(0, length - 1), true);
    const step = path[length - 1];
    if (isMap(parent)) {
      const pair = parent.items.find((item) => isPair(item) && isScalar(item.key) && item.key.value === step);
      if (pair !== undefined && isScalar(pair.key)) return pair.key.range?.[0] ?? 0;
    }
    const node = document.getIn(path.slice(0, length), true);
    if (isScalar(node) || isMap(node)) return node.range?.[0] ?? 0;
  }
  return 0;
}
