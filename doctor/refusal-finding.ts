import type { CdcError, ErrorCode } from '#pipeline/index.ts';
import { findingCatalogue } from './catalogue/catalogue.ts';
import type { Finding, Severity, Strategy, Subject } from './finding.ts';

/** Codes of errors that the catalogue of findings has too. */
export type RefusalCode = Extract<ErrorCode, keyof typeof findingCatalogue>;

export function isRefusal(code: ErrorCode): code is RefusalCode {
  return Object.hasOwn(findingCatalogue, code);
}

/** What a start refuses, as a finding: its own words, code and remedy. Who can fix it, and what happens otherwise, comes from the catalogue. */
export function refusalFinding(
  code: RefusalCode,
  { message, remedy }: CdcError,
  strategy: Strategy,
  subject: Subject,
  severity: Severity = findingCatalogue[code].severity,
): Finding {
  const { privilege, blastRadius } = findingCatalogue[code];
  const fill = (text: string): string => text.replaceAll('{subject}', subject.name);
  const cause = `${message.slice(0, 1).toUpperCase()}${message.slice(1).replace(/\.$/, '')}.`;
  return { code, severity, strategy, subject, cause, remedy, privilege: fill(privilege), blastRadius: fill(blastRadius) };
}
