import { readFile } from 'node:fs/promises';
import { CdcError } from '#pipeline/index.ts';

const informative = /\b(?:ERROR|FATAL|PANIC|HINT|Error|\w*Exception)\b|^Caused by/;
const stackFrame = /^\s+at |^\s*\.\.\. \d+ more/;

/**
 * The lines of a server's log that say why it failed: the last ones that speak of an error, else simply the last. Stack frames are
 * left out and long lines cut.
 */
export function relevantLines(log: readonly string[], count = 5): string[] {
  const lines = log.filter((line) => line.trim() !== '' && !stackFrame.test(line));
  const errors = lines.filter((line) => informative.test(line));
  return (errors.length > 0 ? errors : lines).slice(-count).map((line) => (line.length > 300 ? `${line.slice(0, 300)}…` : line));
}

/** The error of a process that did not start: `what`, its log, and what that says. */
export async function startFailure(what: string, log: string): Promise<CdcError> {
  const text = await readFile(log, 'utf8').catch(() => '');
  const lines = relevantLines(text.split('\n'));
  const code = /address already in use|BindException/i.test(text) ? 'STACK_PORT_TAKEN' : 'STACK_START_FAILED';
  if (lines.length === 0) return new CdcError(code, `${what}; its log ${log} is empty.`);
  return new CdcError(code, `${what}; its log ${log} says:\n${lines.map((line) => `  ${line}`).join('\n')}`);
}
