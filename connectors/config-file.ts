import { readFile } from 'node:fs/promises';
import * as z from 'zod';
import { CdcError, describeError } from '#pipeline/index.ts';

/** A connector's settings as Connect takes them: every value is text. */
export type ConnectorConfig = Readonly<Record<string, string>>;

/** What a connector file holds: `{"name": …, "config": {…}}`, the body of Connect's own POST /connectors. */
export type ConnectorFile = { readonly name: string; readonly config: ConnectorConfig };

const text = z.union([z.string(), z.number(), z.boolean()], 'expected text, a number or a boolean').transform(String);

const fileSchema = z.strictObject({
  name: z.string('expected the name of the connector').min(1),
  config: z.record(z.string(), text, 'expected an object of settings').refine((config) => (config['connector.class'] ?? '') !== '', {
    message: 'expected the class of the connector',
    path: ['connector.class'],
  }),
});

/**
 * Reads a connector file.
 *
 * @throws CdcError CONNECTOR_FILE_NOT_FOUND, or CONNECTOR_FILE_INVALID naming file and line (syntax) or key (shape)
 */
export async function readConnectorFile(file: string): Promise<ConnectorFile> {
  try {
    return parseConnectorFile(await readFile(file, 'utf8'), file);
  } catch (error) {
    if (error instanceof CdcError) throw error;
    throw new CdcError('CONNECTOR_FILE_NOT_FOUND', `${file}: ${describeError(error)}`, { cause: error });
  }
}

/** {@link readConnectorFile} on a text; `file` is only named in errors. */
export function parseConnectorFile(content: string, file: string): ConnectorFile {
  let json: unknown;
  try {
    json = JSON.parse(content);
  } catch (error) {
    throw new CdcError('CONNECTOR_FILE_INVALID', `${file}${lineOfSyntaxError(content, error)}: not JSON: ${describeError(error)}`, {
      cause: error,
    });
  }
  const parsed = fileSchema.safeParse(json);
  if (!parsed.success) {
    const problems = parsed.error.issues.map(
      (issue) => `${file}: ${issue.path.map(String).join(' › ') || '(top level)'}: ${issue.message}`,
    );
    throw new CdcError('CONNECTOR_FILE_INVALID', problems.join('\n'), { cause: parsed.error });
  }
  const { name, config } = parsed.data;
  if (config['name'] !== undefined && config['name'] !== name) {
    throw new CdcError('CONNECTOR_FILE_INVALID', `${file}: the connector is named ${name}, but config › name says ${config['name']}`);
  }
  // Connect gives the name back inside the settings; with it here, comparing them is plain.
  return { name, config: { ...config, name } };
}

/** V8 gives the position, the line and column, or neither (text that ends early, or short texts, which it quotes). */
function lineOfSyntaxError(content: string, error: unknown): string {
  const message = describeError(error);
  const line = /\(line (?<line>\d+) column \d+\)/.exec(message)?.groups?.['line'];
  if (line !== undefined) return `:${line}`;
  const position = /at position (?<position>\d+)/.exec(message)?.groups?.['position'];
  if (position !== undefined) return `:${content.slice(0, Number(position)).split('\n').length}`;
  return message.includes('end of JSON input') ? `:${content.split('\n').length}` : '';
}
