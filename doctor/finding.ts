import type { FindingEntry, Severity } from './catalogue/entry.ts';
import { findingCatalogue } from './catalogue/catalogue.ts';
import { h2Catalogue } from './catalogue/h2.ts';
import { mariadbCatalogue } from './catalogue/mariadb.ts';

export type { Severity } from './catalogue/entry.ts';
export type FindingCode = keyof typeof findingCatalogue | keyof typeof mariadbCatalogue | keyof typeof h2Catalogue;

export type Strategy = 'query' | 'log';

/** What a finding is about. `table` is given wherever it belongs to one. */
export type Subject = {
  readonly kind: 'server' | 'role' | 'table' | 'column' | 'publication' | 'slot' | 'setting' | 'transaction' | 'connect' | 'connector';
  readonly name: string;
  readonly table?: string;
};

/** One thing that is wrong, that will go wrong, or that cannot be told. */
export type Finding = {
  readonly code: FindingCode;
  readonly severity: Severity;
  readonly strategy: Strategy;
  readonly subject: Subject;
  readonly cause: string;
  /** SQL or a command. */
  readonly remedy: string;
  /** Who can carry out the remedy. */
  readonly privilege: string;
  /** What happens to whom if nothing is done, in plain words. */
  readonly blastRadius: string;
};

type NamesIn<Template extends string> = Template extends `${string}{${infer Name}}${infer Rest}` ? Name | NamesIn<Rest> : never;
type Text = 'cause' | 'remedy' | 'privilege' | 'blastRadius';
/** The particulars that the texts of an entry ask for; `${env:…}` in a text is no particular. */
type Particulars<Entry extends FindingEntry> = Exclude<NamesIn<Entry[Text]>, 'subject' | `env:${string}`>;

/** A finding of a code, its texts filled in. The compiler asks for every particular that they name. */
export function finding<Code extends keyof typeof findingCatalogue>(
  code: Code,
  strategy: Strategy,
  subject: Subject,
  particulars: Readonly<Record<Particulars<(typeof findingCatalogue)[Code]>, string>>,
  severity?: Severity,
): Finding {
  return fillIn(code, findingCatalogue[code], strategy, subject, particulars, severity);
}

/** The same in the words of MariaDB. */
export function mariadbFinding<Code extends keyof typeof mariadbCatalogue>(
  code: Code,
  strategy: Strategy,
  subject: Subject,
  particulars: Readonly<Record<Particulars<(typeof mariadbCatalogue)[Code]>, string>>,
  severity?: Severity,
): Finding {
  return fillIn(code, mariadbCatalogue[code], strategy, subject, particulars, severity);
}

/** The same in the words of H2. */
export function h2Finding<Code extends keyof typeof h2Catalogue>(
  code: Code,
  strategy: Strategy,
  subject: Subject,
  particulars: Readonly<Record<Particulars<(typeof h2Catalogue)[Code]>, string>>,
  severity?: Severity,
): Finding {
  return fillIn(code, h2Catalogue[code], strategy, subject, particulars, severity);
}

function fillIn(
  code: FindingCode,
  entry: FindingEntry,
  strategy: Strategy,
  subject: Subject,
  particulars: Readonly<Record<string, string>>,
  severity: Severity | undefined,
): Finding {
  const values = new Map<string, string>([...Object.entries(particulars), ['subject', subject.name]]);
  const fill = (text: string): string => text.replaceAll(/\{(?<name>\w+)\}/g, (whole, name: string) => values.get(name) ?? whole);
  return {
    code,
    severity: severity ?? entry.severity,
    strategy,
    subject,
    cause: fill(entry.cause),
    remedy: fill(entry.remedy),
    privilege: fill(entry.privilege),
    blastRadius: fill(entry.blastRadius),
  };
}
