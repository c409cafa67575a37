/**
 * What an object holds under a name that comes from outside: a column, a type, a text of an event. Plain access also finds what every object has
 * (`constructor`, `toString`, `__proto__`), and takes it for a value.
 */
export function ownMember<T>(members: Readonly<Record<string, T>>, name: string): T | undefined {
  return Object.hasOwn(members, name) ? members[name] : undefined;
}
