import type * as z from 'zod';
import { isSecretName } from './mask.ts';

/** Secrets that are missing where they are needed, or that are none. */
export function checkSecrets(config: MaskChecked, context: z.RefinementCtx): void {
  checkMasks(config, context);
  checkExamples(config, context);
}

/** What examples have in place of a secret. */
const example = /^(?:change[-_ ]?(?:me|it|this)|your[-_ ]?password|my[-_ ]?password|example|todo)$/i;

/** A password that everybody can read in an example protects nothing: it is refused everywhere. */
function checkExamples(config: unknown, context: z.RefinementCtx): void {
  const look = (value: unknown, path: readonly (string | number)[], secret: boolean): void => {
    if (typeof value === 'string' && secret && example.test(value.trim())) {
      const message = 'a sample password, which everybody knows; set another one (containers/secrets creates them for compose)';
      context.addIssue({ code: 'custom', path: [...path], message });
    } else if (Array.isArray(value)) value.forEach((member, index) => look(member, [...path, index], false));
    else if (typeof value === 'object' && value !== null) {
      for (const [name, member] of Object.entries(value)) look(member, [...path, name], isSecretName(name));
    }
  };
  look(config, [], false);
}

type MaskChecked = {
  readonly poller?:
    | {
        readonly maskSecret: string;
        readonly tables: readonly { readonly table: string; readonly mask?: Readonly<Record<string, unknown>> | undefined }[];
      }
    | undefined;
};

/** A hash without a secret is no mask: whoever has a list of likely values finds each of them. */
function checkMasks({ poller }: MaskChecked, context: z.RefinementCtx): void {
  if (poller === undefined || poller.maskSecret.trim() !== '') return;
  for (const [index, { table, mask = {} }] of poller.tables.entries()) {
    for (const [column, way] of Object.entries(mask)) {
      if (way !== 'hash') continue;
      const message = `hash of ${table} needs poller.maskSecret: without a secret, anyone can brute-force likely values`;
      context.addIssue({ code: 'custom', path: ['poller', 'tables', index, 'mask', column], message });
    }
  }
}
