import { envelopeOf, type ObjectShape, type TypeShape } from './shape.ts';

/** A named type to print: `comment` says what it is of. */
export type NamedShape = { readonly name: string; readonly comment: string; readonly shape: TypeShape };

const aliases = {
  Integer: ['An integer with all its digits: a bigint where a number would round it.', 'number | bigint'],
  Float: ['A number, or the text of what JSON has no number for.', "number | 'NaN' | 'Infinity' | '-Infinity'"],
  Json: ['Any JSON.', 'string | number | bigint | boolean | null | readonly Json[] | { readonly [name: string]: Json }'],
} as const;

/**
 * TypeScript's declarations of these types. Deterministic: the same shapes under the same names give the same text. An envelope of row changes
 * becomes two types, `<name>` of its row and `<name>Envelope`.
 */
export function printTypes(types: readonly NamedShape[]): string {
  const printed = typePrinter(types.flatMap(({ name }) => [name, `${name}Envelope`]));
  const declarations = types.flatMap(({ name, comment, shape }) => {
    const envelope = envelopeOf(shape);
    if (envelope === null) return printed.declare(name, comment, shape);
    return [...printed.declare(name, `Row of ${comment}`, envelope.row), ...printed.declare(`${name}Envelope`, comment, envelope.envelope)];
  });
  return [...printed.aliases(), ...declarations].join('\n');
}

export type TypePrinter = {
  /** The declaration of a type, then those of the objects that only it contains. `comment` may have several lines. */
  readonly declare: (name: string, comment: string, shape: TypeShape) => string[];
  /** The declarations of the names that stand for plain types, as far as any was used until now. */
  readonly aliases: (more?: readonly AliasName[]) => string[];
};

type AliasName = keyof typeof aliases;

/** @param reserved names that no object inside of another may have */
export function typePrinter(reserved: readonly string[]): TypePrinter {
  const taken = new Set([...reserved, ...Object.keys(aliases)]);
  const used = new Set<string>();
  const names = new Map<ObjectShape, string>();
  const waiting: { readonly name: string; readonly shape: ObjectShape }[] = [];

  const nameOf = (shape: ObjectShape, wish: string): string => {
    const known = names.get(shape);
    if (known !== undefined) return known;
    let name = wish;
    for (let number = 2; taken.has(name); number += 1) name = `${wish}${number}`;
    taken.add(name);
    names.set(shape, name);
    waiting.push({ name, shape });
    return name;
  };

  const text = (shape: TypeShape, wish: string): string => {
    switch (shape.kind) {
      case 'plain':
        if (Object.hasOwn(aliases, shape.text)) used.add(shape.text);
        return shape.text;
      case 'literals':
        return shape.values.length === 0 ? 'never' : shape.values.map(literal).join(' | ');
      case 'list':
        return `readonly ${grouped(text(shape.items, `${wish}Item`))}[]`;
      case 'map':
        return `{ readonly [name: string]: ${text(shape.items, `${wish}Value`)} }`;
      case 'either': {
        const parts = [...new Set(shape.of.map((choice) => text(choice, wish)))];
        // Null last, as people write it.
        return [...parts.filter((part) => part !== 'null'), ...parts.filter((part) => part === 'null')].join(' | ') || 'never';
      }
      case 'both':
        return shape.of.map((part) => grouped(text(part, wish))).join(' & ');
      case 'object':
        return nameOf(shape, wish);
    }
  };

  const body = ({ members }: ObjectShape, name: string): string => {
    const lines = members.map((member) => {
      const comment = member.comment === null ? '' : `  /** ${commented(member.comment)} */\n`;
      const type = text(member.type, `${name}${pascal(member.name)}`);
      return `${comment}  readonly ${propertyName(member.name)}${member.optional ? '?' : ''}: ${type};\n`;
    });
    return `{\n${lines.join('')}}`;
  };

  const declaration = (name: string, comment: string | null, shape: TypeShape): string => {
    const head = comment === null ? '' : commentLines(comment);
    return `${head}export type ${name} = ${shape.kind === 'object' ? body(shape, name) : text(shape, `${name}Value`)};\n`;
  };

  return {
    aliases: (more = []) =>
      Object.entries(aliases).flatMap(([name, [comment, plain]]) =>
        used.has(name) || more.some((each) => each === name) ? [`/** ${comment} */\nexport type ${name} = ${plain};\n`] : [],
      ),
    declare(name, comment, shape) {
      if (shape.kind === 'object') names.set(shape, name);
      const declared = [declaration(name, comment, shape)];
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) declared.push(declaration(next.name, null, next.shape));
      return declared;
    },
  };
}

function grouped(type: string): string {
  return /[|&]|^readonly /.test(type) ? `(${type})` : type;
}

function literal(value: string | number | boolean): string {
  return typeof value === 'string' ? quoted(value) : String(value);
}

/** A text of TypeScript. */
export function quoted(value: string): string {
  const json = JSON.stringify(value).replaceAll('\u2028', '\\u2028').replaceAll('\u2029', '\\u2029');
  return `'${json.slice(1, -1).replaceAll('\\"', '"').replaceAll("'", "\\'")}'`;
}

/** Signs of names that every compiler knows as such: compilers and engines have letters of different versions of Unicode, so only old ones of the large scripts count. */
const oldLetters = String.raw`[\p{ID_Continue}&&[0-\u024f\u0370-\u04ff\u3041-\u30ff\u4e00-\u9fa5\uac00-\ud7a3]]`;
const isWord = new RegExp(`^(?:${oldLetters}|\\$)+$`, 'v');
const words = new RegExp(`(?:(?!_)${oldLetters})+`, 'gv');

function propertyName(name: string): string {
  return isWord.test(name) && /^[\p{ID_Start}$_]/u.test(name) ? name : quoted(name);
}

function commented(text: string): string {
  return text.replaceAll('*/', '* /').replaceAll(/\s+/g, ' ');
}

/** A comment of these lines. */
export function commentLines(text: string): string {
  const [first = '', ...more] = text.split('\n').map(commented);
  return more.length === 0 ? `/** ${first} */\n` : `/**\n${[first, ...more].map((line) => ` * ${line}\n`).join('')} */\n`;
}

/** `order_items` as OrderItems; a name of a type whatever it is made of. */
export function pascal(name: string): string {
  const joined = (name.match(words) ?? []).map((word) => word.slice(0, 1).toUpperCase() + word.slice(1)).join('');
  return /^\p{ID_Start}/u.test(joined) ? joined : `_${joined}`;
}
