import { createRequire } from 'node:module';

/**
 * How the modules inside kafkajs are reached, to put right in memory what it does wrong or slowly: it is no longer developed, or each of these would
 * be a change to it. What is put right, and when, is in apply-patches.ts.
 */
const require = createRequire(import.meta.url);

/** The one version whose insides are known here. */
const knownVersion = '2.2.4';

type Protocol<Question, Exchange> = (version: { readonly version: number }) => (question: Question) => Exchange;

/** What a module of kafkajs exports; that it is what it is taken for, the caller finds out. */
export function internal(id: string): unknown {
  const exported: unknown = require(`kafkajs/${id}`);
  return exported;
}

/** Whether the installed kafkajs is the version known here. */
export function isKnownVersion(): boolean {
  const { version }: { version: unknown } = require('kafkajs/package.json');
  return version === knownVersion;
}

/** True once something has imported the module. */
export function isLoaded(id: string): boolean {
  return require.cache[require.resolve(`kafkajs/${id}`)] !== undefined;
}

/** Exports something else from a module: to whoever requires it from now on. */
export function replaceInternal(id: string, replacement: (original: unknown) => unknown): void {
  const original = internal(id);
  const module = require.cache[require.resolve(`kafkajs/${id}`)];
  if (module !== undefined) module.exports = replacement(original);
}

/**
 * Wraps what kafkajs asks a broker and how it reads the answer, in every version of a request; it works whoever has imported kafkajs before.
 *
 * @throws Error when kafkajs is built otherwise
 */
export function patchProtocol<Question, Exchange>(
  request: string,
  wrap: (ask: (question: Question) => Exchange, version: number) => (question: Question) => Exchange,
): void {
  const definition = internal(`src/protocol/requests/${request}`);
  if (!isDefinition<Question, Exchange>(definition)) throw builtOtherwise(`${request} requests`);
  const { protocol } = definition;
  definition.protocol = (version) => wrap(protocol(version), version.version);
}

/** Better nothing is read than something wrong. */
export function builtOtherwise(what: string): Error {
  return new Error(
    `the installed kafkajs is not built as version ${knownVersion} is, whose ${what} are patched here: install that version`,
  );
}

function isDefinition<Question, Exchange>(value: unknown): value is { protocol: Protocol<Question, Exchange> } {
  return typeof value === 'object' && value !== null && 'protocol' in value && typeof value.protocol === 'function';
}
