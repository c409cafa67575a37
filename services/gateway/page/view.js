/** What a person sees. Texts are set as texts: nothing of the data is read as HTML. */

const byId = (id) => document.getElementById(id);
const table = document.querySelector('table');
const body = table.tBodies[0];
const template = byId('row');
const changedMs = 2500;
const rows = new Map();

/** Shows the orders in this order. Rows stay the same elements, so that the focus and a choice that was begun stay too. */
export function showOrders(orders, changed, { statuses, onChange }) {
  table.setAttribute('aria-busy', 'false');
  table.hidden = orders.size === 0;
  byId('empty').hidden = orders.size > 0;
  for (const [id, row] of rows) {
    if (orders.has(id)) continue;
    row.remove();
    rows.delete(id);
  }
  let before = null;
  for (const [id, order] of orders) {
    const row = rows.get(id) ?? newRow(id, order, statuses, onChange);
    rows.set(id, row);
    fill(row, order, statuses);
    const place = before === null ? body.firstElementChild : before.nextElementSibling;
    if (place !== row) body.insertBefore(row, place);
    before = row;
  }
  for (const id of changed) mark(rows.get(id));
}

function newRow(id, order, statuses, onChange) {
  const row = template.content.firstElementChild.cloneNode(true);
  row.dataset.id = id;
  const [form, select, button] = ['form', 'select', 'button'].map((name) => row.querySelector(name));
  select.setAttribute('aria-label', `Status of order ${id}`);
  button.setAttribute('aria-label', `Change order ${id}`);
  for (const status of statuses) select.append(new Option(status, status));
  select.addEventListener('change', () => {
    button.disabled = select.value === row.dataset.status;
  });
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    if (select.value !== row.dataset.status) void onChange(id, select.value);
  });
  return row;
}

function fill(row, order, statuses) {
  const cell = (name) => row.querySelector(`[data-cell=${name}]`);
  const isChosen = row.dataset.status !== undefined && row.querySelector('select').value !== row.dataset.status;
  row.dataset.status = order.status;
  cell('id').textContent = order.order_id;
  cell('customer').textContent = order.customer_name ?? (order.customer_id === undefined ? '' : `customer ${order.customer_id}`);
  const time = cell('placed').firstElementChild;
  time.dateTime = order.placed_at;
  time.textContent = new Date(order.placed_at).toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'short' });
  cell('items').textContent = order.item_count ?? '';
  cell('total').textContent = order.total ?? '';
  cell('status').firstElementChild.textContent = order.status;
  const select = row.querySelector('select');
  if (!statuses.includes(order.status) && ![...select.options].some(({ value }) => value === order.status))
    select.append(new Option(order.status, order.status));
  if (!isChosen) select.value = order.status;
  row.querySelector('button').disabled = select.value === order.status;
}

function mark(row) {
  if (row === undefined) return;
  row.classList.add('changed');
  setTimeout(() => row.classList.remove('changed'), changedMs);
}

/** What came of a change. `kind`: waiting, good, bad. */
export function showOutcome(id, kind, text) {
  const outcome = rows.get(id)?.querySelector('.outcome');
  if (outcome === undefined || outcome === null) return;
  outcome.textContent = text;
  outcome.className = `outcome ${kind}`;
  if (kind === 'bad') say(text);
}

/** Read aloud, and not seen. */
export function say(text) {
  byId('news').textContent = text;
}

/** How fresh the orders are. */
export function showFreshness({ state, asOf, stalenessMs }) {
  const line = byId('freshness');
  const behind = stalenessMs === null || stalenessMs === undefined ? '' : `, at most ${seconds(stalenessMs)} behind`;
  const as = asOf ? ` as of ${new Date(asOf).toLocaleTimeString()}` : '';
  const texts = {
    fresh: `Up to date${as}${behind}`,
    stale: `Old: complete${as}${behind}`,
    unknown: 'Nobody knows how old this is: the capture has not reported yet',
    ended: 'These orders are not kept up to date any more',
    away: 'No answer. These orders may be old. Trying again…',
    loading: 'Loading…',
  };
  // A screen reader is told of another state, not of each second.
  line.setAttribute('aria-live', line.dataset.state === state ? 'off' : 'polite');
  line.dataset.state = state;
  line.textContent = texts[state] ?? state;
}

function seconds(ms) {
  return ms < 10_000 ? `${(ms / 1000).toFixed(1)} s` : `${Math.round(ms / 1000)} s`;
}

/** What keeps the page from showing anything. Null: nothing. */
export function showNotice(text, withLogin = false) {
  const notice = byId('notice');
  notice.hidden = text === null;
  notice.querySelector('p').textContent = text ?? '';
  notice.querySelector('a').hidden = !withLogin;
  if (text !== null) table.setAttribute('aria-busy', 'false');
}

export function showPerson(name, onLogout) {
  byId('who').hidden = false;
  byId('name').textContent = name;
  byId('logout').addEventListener('click', onLogout);
}

export function hidePerson() {
  byId('who').hidden = true;
}

export function showReadOnly() {
  document.body.classList.add('read-only');
}
