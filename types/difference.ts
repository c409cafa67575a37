import { formatTableId } from '#change-events/index.ts';
import { typePrinter, type TypeShape } from '#change-events/types/index.ts';
import type { TableTypes, TypedMember } from './table-types.ts';

/** In words, where the registry's schemas say something else than the catalogue. Columns that the catalogue is not sure of are left out. Pure. */
export function differences(catalogue: readonly TableTypes[], registry: readonly TableTypes[]): readonly string[] {
  const registered = new Map(registry.map((table) => [table.topic, table]));
  return catalogue.flatMap((table) => {
    const other = registered.get(table.topic);
    if (other === undefined) return [`${formatTableId(table.source)}: the registry has no schema of topic ${table.topic} yet`];
    return [
      ...ofMembers(`${formatTableId(table.source)}, key`, table.key, other.key),
      ...ofMembers(formatTableId(table.source), table.row, other.row),
    ];
  });
}

function ofMembers(place: string, catalogue: readonly TypedMember[], registry: readonly TypedMember[]): readonly string[] {
  const registered = new Map(registry.map((member) => [member.name, member]));
  const known = new Set(catalogue.map(({ name }) => name));
  return [
    ...catalogue.flatMap((member) => {
      const other = registered.get(member.name);
      if (other === undefined) return member.optional ? [] : [`${place}: column "${member.name}" is not in the registry's schema`];
      const [here, there] = [textOf(member), textOf(other)];
      if (here === there || !member.isSure || !other.isSure) return [];
      return [`${place}: column "${member.name}" is ${here} by the catalogue, and ${there} by the registry`];
    }),
    ...registry
      .filter(({ name }) => !known.has(name))
      .map(({ name }) => `${place}: the registry's schema has a column "${name}", and the catalogue has not`),
  ];
}

/** Labels as a schema lists them, where one with a comma looks like two, and without the empty one, which no schema has. */
function textOf({ type }: TypedMember): string {
  const [text = ''] = typePrinter([]).declare('T', '', listed(type));
  return text.slice(text.indexOf(' = ') + ' = '.length, -';\n'.length);
}

function listed(type: TypeShape): TypeShape {
  if (type.kind === 'either') return { ...type, of: type.of.map(listed) };
  if (type.kind === 'list') return { ...type, items: listed(type.items) };
  if (type.kind !== 'literals') return type;
  const parts = type.values.flatMap((label) =>
    String(label)
      .replaceAll(String.raw`\,`, ',')
      .split(','),
  );
  return { ...type, values: [...new Set(parts.filter((part) => part !== ''))] };
}
