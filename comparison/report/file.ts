import { writeFile } from 'node:fs/promises';
import { extname } from 'node:path';
import { InvalidArgumentError } from 'commander';
import { renderHtml } from './html.ts';
import { renderMarkdown } from './markdown.ts';
import { reportJson, type ComparisonReport } from './report.ts';

const renderers: Readonly<Record<string, (report: ComparisonReport) => string>> = {
  '.html': renderHtml,
  '.md': renderMarkdown,
  '.json': (report) => `${reportJson(report)}\n`,
};

/** Reads the value of `--report`. @throws InvalidArgumentError for a file of another kind */
export function reportFile(text: string): string {
  if (renderers[extname(text)] === undefined) throw new InvalidArgumentError('Expected a file that ends in .html, .md or .json.');
  return text;
}

/** Writes the report in the form that the file's name asks for. */
export async function writeReport(file: string, report: ComparisonReport): Promise<void> {
  const render = renderers[extname(file)] ?? renderMarkdown;
  await writeFile(file, render(report));
}
