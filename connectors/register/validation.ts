import type { ConnectorConfig } from '../config-file.ts';
import type { ServerValidation } from '../rest/schemas.ts';
import { withoutSecrets } from '../secrets.ts';

/** One thing that is wrong with one setting. */
export type ConfigProblem = { readonly field: string; readonly message: string };

/** Settings that a plugin takes without declaring them: they go to a client, a converter, a transform, a topic. */
const passedThrough =
  /^(?:transforms|predicates|(?:key|value|header)\.converter|(?:producer|consumer|admin)\.override|topic\.creation|driver|database\.history|schema\.history\.internal|signal|notification|internal|column|datatype|snapshot\.select\.statement\.overrides|converters|custom\.metric)\./;

/** Debezium Postgres 3.6 reads them, and leaves them out of what it declares. */
const undeclared = new Set(['offset.mismatch.strategy', 'field.name.adjustment.mode']);

/**
 * Everything wrong with `config`: what the server found, by field, and names that are a slip of one it knows (`slot.naem`), which
 * Connect ignores in silence. Literal secrets are masked.
 */
export function configProblems(config: ConnectorConfig, validation: ServerValidation): readonly ConfigProblem[] {
  const fromServer = validation.configs.flatMap(({ definition, value }) =>
    // Debezium says "expected an integer" and "expected a non-negative integer" about the same text: the first is enough.
    (value === null ? [] : value.errors.slice(0, 1)).map((message) => ({
      field: definition.name,
      message: explain(withoutSecrets(message, config)),
    })),
  );
  const known = validation.configs.map(({ definition }) => definition.name);
  return [...fromServer, ...misspeltKeys(config, known)];
}

/** Settings that the plugin neither declares nor is known to pass on: it probably ignores them. */
export function unknownKeys(config: ConnectorConfig, validation: ServerValidation): readonly string[] {
  const known = new Set(validation.configs.map(({ definition }) => definition.name));
  return Object.keys(config).filter((key) => !known.has(key) && !undeclared.has(key) && !passedThrough.test(key));
}

function misspeltKeys(config: ConnectorConfig, known: readonly string[]): readonly ConfigProblem[] {
  const names = new Set(known);
  return Object.keys(config)
    .filter((key) => !names.has(key) && !passedThrough.test(key))
    .flatMap((key) => {
      const meant = known.find((name) => isSlip(key, name));
      return meant === undefined ? [] : [{ field: key, message: `unknown setting; did you mean ${meant}?` }];
    });
}

/** `field: message`, one a line. */
export function formatProblems(problems: readonly ConfigProblem[]): string {
  return problems.map(({ field, message }) => `${field}: ${message}`).join('\n');
}

/** An unresolved reference reaches the database as it is, and the database's complaint hides why. */
function explain(message: string): string {
  const reference = /\$\{[a-z]+:[^}]+\}/i.exec(message)?.[0];
  const line = message.replaceAll(/\s+/g, ' ').trim();
  return reference === undefined
    ? line
    : `${line} — the Connect worker does not resolve ${reference}: is the variable set in its environment?`;
}

/** Whether one or two letters were swapped, left out, added or mistyped; short names allow one. */
function isSlip(written: string, name: string): boolean {
  const allowed = name.length < 8 ? 1 : 2;
  return Math.abs(written.length - name.length) <= allowed && distance(written, name) <= allowed;
}

/** Edits between two texts, a swap of neighbours counting as one (optimal string alignment). */
function distance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row += 1) {
    const current = [row];
    for (let column = 1; column <= b.length; column += 1) {
      const same = a[row - 1] === b[column - 1];
      const swapped = row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1];
      current[column] = Math.min(
        at(last, column) + 1,
        at(current, column - 1) + 1,
        at(last, column - 1) + (same ? 0 : 1),
        swapped ? at(beforeLast, column - 2) + 1 : Infinity,
      );
    }
    beforeLast = last;
    last = current;
  }
  return at(last, b.length);
}

function at(row: readonly number[], column: number): number {
  return row[column] ?? Infinity;
}
