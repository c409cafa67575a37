import { writeFileSync } from 'node:fs';
import { join, sep } from 'node:path';
import {
  isClassDeclaration,
  isConstructorDeclaration,
  isFunctionDeclaration,
  isIdentifier,
  isTypeAliasDeclaration,
} from 'typescript/unstable/ast/is';
import type { Node } from 'typescript/unstable/ast';
import { API, SymbolFlags, type Project, type Symbol as Declared } from 'typescript/unstable/sync';
import { wrapped } from '#pipeline/index.ts';

const root = join(import.meta.dirname, '..');
const entry = join(root, 'sdk', 'index.ts');

/** Where the reference of the SDK is. */
export const sdkReferenceFile = join(root, 'docs', 'reference', 'sdk.md');

const opening = `# The SDK

What \`legacy-cdc-bridge/sdk\` exports, from the comments of its declarations. How it is used: [sdk.md](../sdk.md).
What errors mean: [errors.md](errors.md).

Generated from \`sdk/\` by \`npm run docs:sdk\`. A test fails when it is out of date.
`;

/** docs/reference/sdk.md: what the package's entry exports, in its order, then the types of sdk/ that these name. */
export function sdkReference(): string {
  using api = opened();
  const project = api.project();
  const module = project.checker.getSymbolAtLocation(sourceOf(project));
  if (module === undefined) throw new Error(`${entry} exports nothing`);
  const exported = project.checker.getExportsOfModule(module).map((symbol) => origin(project, symbol));
  const functions = exported.filter((symbol) => (symbol.flags & SymbolFlags.Type) === 0);
  const types = exported.filter((symbol) => !functions.includes(symbol));
  const named = new Set(exported.map(({ name }) => name));
  const used: Declared[] = [];
  for (const symbol of exported) collectUsed(project, symbol, named, used);
  const sections = [
    ['Functions', functions],
    ['Types and classes', types],
    ['Types that these name', used],
  ] as const;
  return opening + sections.map(([title, symbols]) => `\n## ${title}\n${symbols.map((one) => sectionOf(one)).join('')}`).join('');
}

function opened(): Disposable & { project(): Project } {
  const api = new API({ cwd: root });
  const config = join(import.meta.dirname, 'tsconfig.sdk.json');
  return {
    project() {
      const project = api.updateSnapshot({ openProjects: [config] }).getProject(config);
      if (project === undefined) throw new Error(`${config} is no project`);
      return project;
    },
    [Symbol.dispose]: () => api.close(),
  };
}

function sourceOf(project: Project): Node {
  const source = project.program.getSourceFile(entry);
  if (source === undefined) throw new Error(`${entry} is not in the project`);
  return source;
}

/** What a re-export stands for. */
function origin({ checker }: Project, symbol: Declared): Declared {
  return (symbol.flags & SymbolFlags.Alias) === 0 ? symbol : checker.getAliasedSymbol(symbol);
}

function declarationsOf(symbol: Declared): readonly Node[] {
  return symbol.declarations.flatMap((handle) => handle.resolve() ?? []);
}

/** Types of sdk/ that the declaration names and the entry does not export, and what these name. */
function collectUsed(project: Project, symbol: Declared, named: Set<string>, used: Declared[]): void {
  const walk = (node: Node): void => {
    node.forEachChild((child) => {
      // What a function does, and the values of a class, are nobody's types.
      if (isBody(node, child)) return;
      if (isIdentifier(child)) {
        const found = project.checker.getSymbolAtLocation(child);
        const other = found === undefined ? undefined : origin(project, found);
        if (other !== undefined && !named.has(other.name) && isOwnType(other)) {
          named.add(other.name);
          used.push(other);
          collectUsed(project, other, named, used);
        }
      }
      walk(child);
    });
  };
  for (const node of shownOf(symbol)) walk(node);
}

function isBody(parent: Node, child: Node): boolean {
  return (isFunctionDeclaration(parent) || isConstructorDeclaration(parent)) && parent.body === child;
}

function isOwnType(symbol: Declared): boolean {
  return declarationsOf(symbol).some((node) => isTypeAliasDeclaration(node) && node.getSourceFile().fileName.includes(`${sep}sdk${sep}`));
}

/** Of a function with overloads, these and not what implements them. */
function shownOf(symbol: Declared): readonly Node[] {
  const nodes = declarationsOf(symbol);
  const overloads = nodes.filter((node) => isFunctionDeclaration(node) && node.body === undefined);
  return overloads.length === 0 ? nodes : overloads;
}

function sectionOf(symbol: Declared): string {
  const parts = shownOf(symbol).map((node) => `${prose(node)}\n\`\`\`ts\n${codeOf(node)}\n\`\`\`\n`);
  return `\n### ${symbol.name}\n${parts.join('')}`;
}

/** The declaration as it is written, without what it does. */
function codeOf(node: Node): string {
  const text = node.getText().replace(/^export (?:async )?/, '');
  if (isFunctionDeclaration(node) && node.body !== undefined) return `${text.slice(0, -node.body.getText().length).trimEnd()};`;
  if (!isClassDeclaration(node)) return text;
  let shown = text;
  for (const member of node.members)
    if (isConstructorDeclaration(member) && member.body !== undefined) shown = shown.replace(` ${member.body.getText()}`, ';');
  return shown;
}

/** The comment before a declaration, as markdown; an empty line before it and after it. */
function prose(node: Node): string {
  const comment = node.jsDoc?.at(-1)?.getText();
  if (comment === undefined) return '';
  const lines = comment
    .replace(/^\/\*\*/, '')
    .replace(/\*\/$/, '')
    .split('\n')
    .map((line) => line.replace(/^\s*\* ?/, '').trim());
  const [text = '', ...tags] = lines.join('\n').split(/\n(?=@)/);
  const paragraphs = text
    .trim()
    .split(/\n{2,}/)
    .map(inLine);
  const items = tags.map((tag) => `- ${inLine(tagText(tag.trim()))}`).map((item) => wrapped(item, '  '));
  const list = items.length === 0 ? [] : [items.join('\n')];
  return `\n${[...paragraphs.map((paragraph) => wrapped(paragraph)), ...list].join('\n\n')}\n`;
}

function tagText(tag: string): string {
  return tag.replace(/^@param (\S+)/, '`$1`:').replace(/^@throws/, 'Throws');
}

function inLine(text: string): string {
  return text.replaceAll(/\s+/g, ' ').replaceAll(/\{@link ([^}]+)\}/g, '`$1`');
}

if (import.meta.main) writeFileSync(sdkReferenceFile, sdkReference());
