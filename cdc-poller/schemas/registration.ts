import type { NewSchema, Registry } from '#change-events/index.ts';
import { CdcError, type PollerConfig } from '#pipeline/index.ts';
import { differenceOf } from './difference.ts';

export type Subject = { readonly name: string; readonly schema: NewSchema };

/**
 * Registers schemas, each once: an id that was given is kept, so that nobody is asked again for what is known and an outage of the
 * registry stops only tables of a new shape. One for all tables of a process.
 */
export type Registrar = {
  /**
   * The id of the schema under its subject. A subject that has no compatibility level of its own is given the configured one.
   *
   * @throws CdcError SCHEMA_INCOMPATIBLE with the registry's reasons and what is different, SCHEMA_INVALID, REGISTRY_UNREACHABLE, REGISTRY_REFUSED
   */
  idOf(subject: Subject, table: string, signal: AbortSignal): Promise<number>;
};

export function createRegistrar(registry: Registry, level: PollerConfig['compatibility']): Registrar {
  const known = new Map<string, number>();
  return {
    async idOf({ name, schema }, table, signal) {
      const place = `${name}\n${schema.schema}`;
      const found = known.get(place);
      if (found !== undefined) return found;
      try {
        // Before the schema, also of a subject that does not exist yet: a level that comes later would have let it pass, or be forgotten by a crash.
        // (Of a subject that was made without a level, Apicurio says NONE, as if somebody had set it.)
        if ((await registry.compatibilityOf(name, signal)) === null) await registry.setCompatibility(name, level, signal);
        const id = await registry.register(name, schema, signal);
        known.set(place, id);
        return id;
      } catch (error) {
        throw error instanceof CdcError && error.code === 'SCHEMA_INCOMPATIBLE'
          ? await explained(registry, { name, schema }, table, error, signal)
          : error;
      }
    },
  };
}

/** Why, as far as the registry still answers. */
async function explained(
  registry: Registry,
  { name, schema }: Subject,
  table: string,
  refusal: CdcError,
  signal: AbortSignal,
): Promise<CdcError> {
  try {
    const [reasons, level, latest] = [
      await registry.check(name, schema, signal),
      await registry.compatibilityOf(name, signal),
      await registry.latest(name, signal),
    ];
    const difference = latest === null ? [] : differenceOf(latest, schema);
    const said = reasons.length === 0 ? refusal.message : reasons.join('; ');
    const what = difference.length === 0 ? '' : ` Against version ${latest?.version}: ${difference.join('; ')}.`;
    return new CdcError(
      'SCHEMA_INCOMPATIBLE',
      `table ${table} has a shape that subject ${name} does not take at its level ${level ?? "(the registry's default)"}.${what} The registry says: ${said}`,
      { cause: refusal },
    );
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof CdcError && error.code === 'REGISTRY_UNREACHABLE') return refusal;
    throw error;
  }
}
