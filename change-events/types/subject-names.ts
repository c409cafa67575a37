import { pascal } from './print.ts';

/** A subject of the topic-name strategy, taken apart; `part` is null for a subject of another making. */
export type SubjectParts = { readonly subject: string; readonly topic: string; readonly part: 'key' | 'value' | null };

export function subjectParts(subject: string): SubjectParts {
  const match = /^(?<topic>.+)-(?<part>key|value)$/s.exec(subject);
  const { topic, part } = match?.groups ?? {};
  if (topic === undefined || (part !== 'key' && part !== 'value')) return { subject, topic: subject, part: null };
  return { subject, topic, part };
}

/**
 * A type's name for each subject: of `log.public.order_items-value` the table's, OrderItems, of its key OrderItemsKey. Where two topics would have the same name, each is
 * named by more of its own: LogPublicOrderItems.
 */
export function typeNames(subjects: readonly string[]): ReadonlyMap<string, string> {
  const parts = subjects.map(subjectParts);
  const bases = baseNames([...new Set(parts.map(({ topic }) => topic))].toSorted());
  const names = new Map<string, string>();
  const taken = new Set<string>();
  for (const { subject, topic, part } of parts) {
    const wish = `${bases.get(topic) ?? ''}${part === 'key' ? 'Key' : ''}`;
    let name = wish;
    for (let number = 2; taken.has(name); number += 1) name = `${wish}${number}`;
    taken.add(name).add(`${name}Envelope`);
    names.set(subject, name);
  }
  return names;
}

function baseNames(topics: readonly string[]): ReadonlyMap<string, string> {
  const deepest = Math.max(1, ...topics.map((topic) => topic.split('.').length));
  const names = new Map<string, string>();
  let open = topics;
  for (let depth = 1; depth <= deepest && open.length > 0; depth += 1) {
    const counts = Map.groupBy(open, (topic) => named(topic, depth));
    const used = new Set(names.values());
    for (const [name, [topic, ...others]] of counts) {
      if (topic !== undefined && others.length === 0 && !used.has(name)) names.set(topic, name);
    }
    open = open.filter((topic) => !names.has(topic));
  }
  for (const topic of open) names.set(topic, named(topic, deepest));
  return names;
}

/** By the last parts of a topic's name. */
function named(topic: string, depth: number): string {
  return pascal(topic.split('.').slice(-depth).join('.'));
}
