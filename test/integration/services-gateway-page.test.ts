import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import type { RunningReadModel } from '#read-model/index.ts';
import type { RunningService } from '#services/index.ts';
import { launchChromium } from '#test/support/chromium.ts';
import { apiSettings, createGatewayScene, passwords, type GatewayScene } from '#test/support/gateway.ts';
import { startInstance, type OwnInstance } from '#test/support/instance.ts';
import { customer, order, remove, upsert } from '#test/support/order-events.ts';
import { eventually } from '#test/support/read-database.ts';

let scene: GatewayScene;
let running: RunningReadModel;
let orders: OwnInstance;
let gateway: RunningService;
/** Two instances of the query API. */
let apis: readonly [RunningService, RunningService];
let browser: Browser;
let people: BrowserContext;
let page: Page;
/** What the page has complained of: errors of scripts, and what its policy has forbidden. */
const complaints: string[] = [];

/** As the order service does, whose change comes back through the topics. */
const takesChanges: Parameters<typeof startInstance>[0] = {
  answer: ({ url, body }, response) => {
    const id = Number(url.split('/').at(-1));
    const { status } = JSON.parse(body.toString());
    if (status === 'returned') {
      response.writeHead(409, { 'content-type': 'application/problem+json' });
      return void response.end(
        JSON.stringify({ title: 'Conflict', status: 409, detail: 'An order that was not delivered cannot be returned.' }),
      );
    }
    response.writeHead(204).end();
    return void scene.apis.model.send('orders', [upsert('orders', order(id, 1, status), 'u')]);
  },
};

before(async () => {
  browser = await launchChromium();
  scene = await createGatewayScene();
  running = await scene.apis.model.start();
  await scene.apis.model.send('customers', [
    upsert('customers', customer(1, 'Ada Example')),
    upsert('customers', customer(2, '<img src=x onerror="document.title=1">')),
  ]);
  await scene.apis.model.caughtUp();
  orders = await startInstance(takesChanges);
  apis = [scene.api, await scene.apis.start(apiSettings(scene))];
  gateway = await scene.start({
    upstreams: { 'query-api': { urls: apis.map(({ url }) => url), health: { intervalMs: 200 } }, orders: { urls: [orders.url] } },
    routes: [
      { prefix: '/v1', upstream: 'query-api' },
      { prefix: '/v1/orders', methods: ['PATCH'], upstream: 'orders' },
    ],
    page: {},
  });
  people = await browser.newContext({ viewport: { width: 1440, height: 900 } });
  page = await people.newPage();
  page.setDefaultTimeout(60_000);
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('console', (message) => {
    if (/Content Security Policy|Uncaught/.test(message.text())) complaints.push(message.text());
  });
});
after(async () => {
  await browser.close();
  await gateway[Symbol.asyncDispose]();
  await running[Symbol.asyncDispose]();
  await scene[Symbol.asyncDispose]();
  await orders[Symbol.asyncDispose]();
});

const row = (id: number): ReturnType<Page['locator']> => page.locator(`tbody tr[data-id="${id}"]`);

async function shot(name: string): Promise<void> {
  const folder = process.env['CDC_SCREENSHOTS'];
  if (folder === undefined) return;
  await mkdir(folder, { recursive: true });
  await page.screenshot({ path: join(folder, `${name}.png`), fullPage: true });
}

test('a person logs in at the provider, and is on the page, which is empty and says so', async () => {
  await page.goto(scene.url);
  assert.ok(page.url().startsWith(scene.provider.issuer), page.url());
  await shot('login');
  await page.getByLabel('Name').fill('alice');
  await page.getByLabel('Password').fill('not it');
  await page.getByRole('button', { name: 'Log in' }).click();
  await page.getByText('This name and password do not fit.').waitFor();
  await page.getByLabel('Name').fill('alice');
  await page.getByLabel('Password').fill(passwords.alice);
  await page.getByRole('button', { name: 'Log in' }).click();
  await page.waitForURL(`${scene.url}/`);
  await page.getByText('There are no orders yet.').waitFor();
  await page.getByText('alice').waitFor();
  await shot('empty-1440');
});

test('orders appear by themselves, the latest first, and texts of the data are texts', async () => {
  const sent = Array.from({ length: 12 }, (_, index) => upsert('orders', order(index + 1, 1 + (index % 2), 'new')));
  await scene.apis.model.send('orders', sent);
  await row(12).waitFor();
  await page.waitForFunction(`document.querySelectorAll('tbody tr').length === 12`);
  assert.equal(await page.getAttribute('table', 'aria-busy'), 'false');
  await row(2).getByText('<img src=x').waitFor();
  assert.equal(await page.title(), 'Orders');
  assert.equal(await page.locator('tbody img').count(), 0);
  const times = await page.locator('tbody time').evaluateAll((all) => all.map((each) => each.getAttribute('datetime') ?? ''));
  assert.deepEqual(
    times,
    times.toSorted((one, other) => Date.parse(other) - Date.parse(one)),
  );
});

test('a change that others make is shown, and is read aloud', async () => {
  await scene.apis.model.send('orders', [upsert('orders', order(3, 1, 'packed'), 'u')]);
  await row(3).locator('.status', { hasText: 'packed' }).waitFor();
  await page.locator('[aria-live=polite]', { hasText: 'Order 3 is packed' }).waitFor({ state: 'attached' });
  await scene.apis.model.send('orders', remove('orders', 4));
  await row(4).waitFor({ state: 'detached' });
});

test('an order is changed with the keyboard alone, and the change is seen to arrive', async () => {
  await page.getByLabel('Status of order 5').focus();
  await page.keyboard.press('p');
  await page.keyboard.press('Tab');
  const focused = page.locator(':focus');
  assert.equal(await focused.getAttribute('aria-label'), 'Change order 5');
  await page.keyboard.press('Enter');
  await row(5)
    .getByText(/Arrived after/)
    .waitFor();
  await row(5).locator('.status', { hasText: 'paid' }).waitFor();
  const { method, url, body } = orders.received.at(-1) ?? assert.fail();
  assert.deepEqual([method, url, body.toString()], ['PATCH', '/v1/orders/5', '{"status":"paid"}']);
  await shot('orders-1440');
});

test('a change that is refused says why', async () => {
  await page.getByLabel('Status of order 6').selectOption('returned');
  await page.getByRole('button', { name: 'Change order 6' }).click();
  await row(6).getByText('An order that was not delivered cannot be returned.').waitFor();
  assert.equal(await row(6).locator('.status').textContent(), 'new');
});

test('a choice that was begun stays while other orders change', async () => {
  await page.getByLabel('Status of order 7').selectOption('shipped');
  await scene.apis.model.send('orders', [upsert('orders', order(8, 2, 'delivered'), 'u')]);
  await row(8).locator('.status', { hasText: 'delivered' }).waitFor();
  assert.equal(await page.getByLabel('Status of order 7').inputValue(), 'shipped');
});

for (const width of [375, 1440]) {
  test(`at ${width} px nothing is cut off, and everything that can be used is large enough to be touched`, async () => {
    await page.setViewportSize({ width, height: 900 });
    const wide = await page.evaluate(`document.documentElement.scrollWidth - document.documentElement.clientWidth`);
    assert.equal(wide, 0);
    const heights = await page
      .locator('tbody select, tbody button')
      .evaluateAll((all) => all.map((each) => each.getBoundingClientRect().height));
    assert.ok(Math.min(...heights) >= (width === 375 ? 44 : 24), String(Math.min(...heights)));
    await shot(`orders-${width}`);
  });
}

test('a live stream that breaks off goes on by itself at another instance: the page is not loaded again', async () => {
  await page.evaluate(`globalThis.sinceTheStart = true`);
  // One after the other: the stream is at one of them.
  for (const [index, status] of ['packed', 'shipped'].entries()) {
    const instance = apis[index] ?? assert.fail();
    const { port } = new URL(instance.url);
    await instance[Symbol.asyncDispose]();
    await scene.apis.model.send('orders', [upsert('orders', order(9, 1, status), 'u')]);
    await row(9).locator('.status', { hasText: status }).waitFor();
    const again = await scene.apis.start({ ...apiSettings(scene), http: { port: Number(port) } });
    apis = index === 0 ? [again, apis[1]] : [apis[0], again];
    await eventually(
      async () => await (await fetch(`${gateway.monitoringUrl}/status`)).text(),
      (shown) => !shown.includes('"out"'),
    );
  }
  assert.equal(await page.evaluate(`globalThis.sinceTheStart`), true);
});

test('while the read model is away the page says that the orders may be old, and goes on by itself', async () => {
  const accept = await scene.apis.model.read.refuseConnections();
  const notice = page.getByText('The read model is away');
  try {
    await notice.waitFor();
    assert.equal(await row(5).count(), 1, 'what was there is there');
  } finally {
    await accept();
  }
  await notice.waitFor({ state: 'hidden' });
});

test('while nobody answers the page says that the orders may be old, and goes on by itself', async () => {
  const { port } = new URL(gateway.url);
  await gateway[Symbol.asyncDispose]();
  await page.locator('#freshness[data-state=away]').waitFor();
  await shot('away-1440');
  assert.equal(await row(5).count(), 1, 'what was there is there');
  gateway = await scene.start({
    http: { port: Number(port) },
    upstreams: { 'query-api': { urls: [scene.api.url] } },
    routes: [{ prefix: '/v1', upstream: 'query-api' }],
    page: { change: null },
  });
  // Sessions ended with the gateway's process.
  await page.getByText('You are not logged in any more.').waitFor();
  await shot('logged-out-1440');
  await page.getByRole('link', { name: 'Log in' }).click();
  // The provider knows the person still.
  await page.waitForURL(`${scene.url}/`);
  await row(5).waitFor();
  assert.equal(await page.getByRole('button', { name: /Change order/ }).count(), 0, 'a page that only shows');
});

test('a logout ends at the provider, and then the page asks for a login', async () => {
  await page.getByRole('button', { name: 'Log out' }).click();
  await page.getByRole('button', { name: 'Log out here too' }).click();
  await page.getByLabel('Password').waitFor();
  assert.equal(
    (await people.cookies()).some(({ name, value }) => name === 'cdc_session' && value !== ''),
    false,
  );
});

test('no script has failed, and the page’s policy has forbidden nothing', () => {
  assert.deepEqual(complaints, []);
});
