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

/** One thing that is wrong, that will go wrong, or that is not known. */
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

/** Makes findings of a code of one catalogue, their texts filled in. The compiler asks for every particular that they name. */
function findingsOf<Codes extends FindingCode, Catalogue extends Readonly<Record<Codes, FindingEntry>>>(
  catalogue: Catalogue & Readonly<Record<Codes, FindingEntry>>,
) {
  return <Code extends Codes>(
    code: Code,
    strategy: Strategy,
    subject: Subject,
    particulars: Readonly<Record<Particulars<Catalogue[Code]>, string>>,
    severity?: Severity,
  ): Finding => {
    const entry: FindingEntry = catalogue[code];
    const values = new Map<string, string>([...Object.entries<string>(particulars), ['subject', subject.name]]);
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
  };
}

export const finding = findingsOf(findingCatalogue);
/** In the words of MariaDB, and of H2. */
export const mariadbFinding = findingsOf(mariadbCatalogue);
export const h2Finding = findingsOf(h2Catalogue);
