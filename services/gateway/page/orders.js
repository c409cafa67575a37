/** Orders as this page knows them, and how one is changed. */

export const statuses = ['new', 'paid', 'packed', 'shipped', 'delivered', 'returned'];

/** What came, laid over what was known: the latest first. `changed`: ids of orders that were known and are different now. */
export function withNews(known, { whole, rows, gone }) {
  const orders = new Map(whole ? [] : known);
  const changed = [];
  for (const key of gone) orders.delete(idOf(key));
  for (const row of rows) {
    const id = String(row.order_id);
    const before = known.get(id);
    if (before !== undefined && JSON.stringify(before) !== JSON.stringify(row)) changed.push(id);
    else if (before === undefined && !whole) changed.push(id);
    orders.set(id, row);
  }
  const sorted = [...orders].toSorted(([, one], [, other]) => later(other, one));
  return { orders: new Map(sorted), changed };
}

function later(one, other) {
  const placed = Date.parse(one.placed_at) - Date.parse(other.placed_at);
  if (placed !== 0) return placed;
  const [a, b] = [BigInt(one.order_id), BigInt(other.order_id)];
  return a < b ? -1 : a > b ? 1 : 0;
}

/** The key of a row is an object, or a list, of its parts. */
function idOf(key) {
  return String(typeof key === 'object' && key !== null ? Object.values(key)[0] : key);
}

/** Asks the order service for another status. Resolves when it is done there; it arrives here by itself. @throws Error with what to show */
export async function changeStatus(url, id, status, csrfToken) {
  const response = await fetch(`${url}/${encodeURIComponent(id)}`, {
    method: 'PATCH',
    headers: { 'content-type': 'application/merge-patch+json', ...(csrfToken === null ? {} : { 'x-csrf-token': csrfToken }) },
    body: JSON.stringify({ status }),
  });
  if (response.ok) return;
  const problem = await response.json().catch(() => ({}));
  throw new Error(problem.detail ?? problem.title ?? `The order service answered ${response.status}.`);
}
