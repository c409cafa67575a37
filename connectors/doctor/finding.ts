import type { Severity } from './catalogue/entry.ts';
import { findingCatalogue, type FindingCode } from './catalogue/catalogue.ts';

export type { Severity } from './catalogue/entry.ts';
export type { FindingCode } from './catalogue/catalogue.ts';

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
type Catalogue = typeof findingCatalogue;
type Text = 'cause' | 'remedy' | 'privilege' | 'blastRadius';
/** The particulars that the texts of a code ask for; `${env:…}` in a text is no particular. */
type Particulars<Code extends FindingCode> = Exclude<NamesIn<Catalogue[Code][Text]>, 'subject' | `env:${string}`>;

/** A finding of a code, its texts filled in. The compiler asks for every particular that they name. */
export function finding<Code extends FindingCode>(
  code: Code,
  strategy: Strategy,
  subject: Subject,
  particulars: Readonly<Record<Particulars<Code>, string>>,
  severity?: Severity,
): Finding {
  const entry = findingCatalogue[code];
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
}
