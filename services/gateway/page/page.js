import { followFreshness, followList } from './live.js';
import { changeStatus, statuses, withNews } from './orders.js';
import { hidePerson, say, showFreshness, showNotice, showOrders, showOutcome, showPerson, showReadOnly } from './view.js';

const slowMs = 15_000;
/** Changes that the order service has done and that have not arrived: the status that is waited for, and since when. */
const awaited = new Map();
let orders = new Map();
let csrfToken = null;

async function start() {
  const settings = await (await fetch('/assets/settings.json')).json();
  if (settings.login && !(await knowPerson())) return showLoggedOut();
  if (settings.change === null) showReadOnly();
  const onChange = (id, status) => change(settings.change, id, status);
  const shown = { statuses, onChange };
  const list = followList(`${settings.list}?order=placed_at&desc=true&limit=50`, {
    onNews(news) {
      const { orders: now, changed } = withNews(orders, news);
      const isFirst = orders.size === 0;
      orders = now;
      showOrders(orders, isFirst ? [] : changed, shown);
      noteArrivals();
      if (!isFirst && changed.length > 0)
        say(changed.length === 1 ? `Order ${changed[0]} is ${orders.get(changed[0])?.status}` : `${changed.length} orders have changed`);
    },
    async onState(state) {
      if (state === 'live') return showNotice(null);
      if (state === 'away') return showNotice('The read model is away: these orders may be old. Waiting for it…');
      if (state === 'reconnecting') return undefined;
      // The stream was refused: by a login that has ended, or by a service that does not answer.
      list.close();
      if (settings.login && !(await isLoggedIn())) {
        freshness.close();
        return showLoggedOut();
      }
      showNotice('The orders cannot be read at present. Trying again…');
      setTimeout(() => location.reload(), 5000);
      return undefined;
    },
  });
  const freshness = followFreshness(`${settings.list}?limit=1`, showFreshness);
}

async function knowPerson() {
  const response = await fetch('/auth/session', { cache: 'no-store' });
  if (!response.ok) return false;
  const person = await response.json();
  ({ csrfToken } = person);
  showPerson(person.name, logOut);
  return true;
}

async function isLoggedIn() {
  // No answer is no answer: then it is not the login.
  return fetch('/auth/session', { cache: 'no-store' }).then(
    ({ status }) => status !== 401,
    () => true,
  );
}

function showLoggedOut() {
  showNotice('You are not logged in any more.', true);
  showFreshness({ state: 'ended' });
  hidePerson();
  showReadOnly();
}

async function logOut() {
  const response = await fetch('/auth/logout', { method: 'POST', headers: { 'x-csrf-token': csrfToken } });
  location.assign(response.ok ? (await response.json()).location : '/');
}

async function change(url, id, status) {
  awaited.set(id, { status, since: performance.now() });
  showOutcome(id, 'waiting', 'Sending…');
  try {
    await changeStatus(url, id, status, csrfToken);
  } catch (error) {
    awaited.delete(id);
    showOutcome(id, 'bad', error.message);
    return;
  }
  if (!awaited.has(id)) return;
  showOutcome(id, 'waiting', 'Done. Waiting for it to arrive here…');
  setTimeout(() => {
    if (awaited.has(id)) showOutcome(id, 'waiting', 'Done, but it has not arrived here yet.');
  }, slowMs);
}

function noteArrivals() {
  for (const [id, { status, since }] of awaited) {
    if (orders.get(id)?.status !== status) continue;
    awaited.delete(id);
    showOutcome(id, 'good', `Arrived after ${((performance.now() - since) / 1000).toFixed(1)} s`);
  }
}

try {
  await start();
} catch {
  showNotice('The page could not be loaded. Reload it to try again.');
  showFreshness({ state: 'ended' });
}
