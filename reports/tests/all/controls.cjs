// Uses the controls of a page in headless Chromium, with the keyboard alone where a reader would, and prints as JSON what
// differs from what is expected, and everything that the browser complains of.
//
// node controls.cjs CHROMIUM PROFILE PAGE; needs ws (NODE_PATH). The page has a matrix of sync, threads and tokio.
'use strict';

const { readFileSync } = require('node:fs');
const { start } = require('./chromium.cjs');

const [program, profile, file] = process.argv.slice(2);
const MOST_STOPS = 400;

const KEYS = { Tab: 9, Enter: 13, ' ': 32, ArrowRight: 39, ArrowDown: 40, ArrowUp: 38, End: 35, Escape: 27 };

async function main() {
  const problems = [];
  const expect = (what, got, wanted) => {
    if (JSON.stringify(got) !== JSON.stringify(wanted)) problems.push({ what, got, wanted });
  };
  const browser = await start(program, profile);
  try {
    const page = await browser.open(file, (kind, text) => problems.push({ what: kind, got: text }));
    await use(page, expect);
    await withoutScripts(page, expect);
  } finally {
    browser.close();
  }
  console.log(JSON.stringify(problems));
}

async function use(page, expect) {
  const { send, evaluate, go } = page;
  const ready = () => evaluate(`(async () => {
    while (!document.documentElement.dataset.controls) await new Promise((done) => setTimeout(done, 10));
  })()`);
  const hash = async () => decodeURIComponent(await evaluate('location.hash'));
  const said = () => evaluate(`document.querySelector('[role=status]').textContent`);

  async function press(key) {
    const text = { Enter: '\r', ' ': ' ' }[key];
    const event = { key, code: key === ' ' ? 'Space' : key, windowsVirtualKeyCode: KEYS[key], text };
    await send('Input.dispatchKeyEvent', { type: text ? 'keyDown' : 'rawKeyDown', ...event });
    await send('Input.dispatchKeyEvent', { type: 'keyUp', ...event });
  }

  /// Tabs on to an element.
  async function reach(selector) {
    for (let stop = 0; stop < MOST_STOPS; stop++) {
      if (await evaluate(`document.activeElement.matches(${JSON.stringify(selector)})`)) return;
      await press('Tab');
    }
    throw new Error(`the tab key does not reach ${selector}`);
  }

  const column = (name) => `[...document.querySelectorAll('.matrix td[data-runtime="${name}"] b')].map((it) => it.textContent)`;
  const shown = (name) => evaluate(`[...document.querySelectorAll('[data-runtime="${name}"]')]
    .filter((it) => it.getClientRects().length).length`);

  /// Chooses a value in the list with this label.
  async function choose(label, value) {
    const distance = await evaluate(`(() => {
      const labels = [...document.querySelectorAll('.view label')];
      const select = labels.find((it) => it.textContent.startsWith(${JSON.stringify(label)})).querySelector('select');
      document.querySelectorAll('select').forEach((it) => it.classList.toggle('chosen', it === select));
      return [...select.options].findIndex((it) => it.value === ${JSON.stringify(value)}) - select.selectedIndex;
    })()`);
    await reach('select.chosen');
    for (let step = 0; step < Math.abs(distance); step++) await press(distance > 0 ? 'ArrowDown' : 'ArrowUp');
  }

  await ready();
  expect('nothing in the address of an untouched page', await hash(), '');
  const planned = await evaluate(column('tokio'));
  const caption = await evaluate(`document.querySelector('.matrix caption').textContent`);

  // A runtime is hidden in tables and charts.
  await reach('.view > summary');
  await press('Enter');
  await reach('.view input[type=checkbox]');
  await press(' ');
  expect('the first runtime is hidden', [await shown('sync'), await hash(), await said()], [0, '#?hide=sync', 'sync is hidden']);
  await press(' ');
  expect('and shown again', [(await shown('sync')) > 5, await hash()], [true, '']);

  // Another reference, another metric.
  await choose('Reference', 'tokio');
  expect('the new reference', [await evaluate(column('tokio')), await hash()], [planned.map(() => '1×'), '#?reference=tokio']);
  await choose('Metric', 'service_p99_ns');
  expect('caption', await evaluate(`document.querySelector('.matrix caption').textContent`),
    'Service p99, less is better; tokio is 1×');
  await choose('Reference', '');
  await choose('Metric', '');
  expect('as planned again', [await evaluate(column('tokio')), await hash()], [planned, '']);
  expect('its caption', await evaluate(`document.querySelector('.matrix caption').textContent`), caption);

  // Sorting, by keys alone; arrows lead from one heading to the next.
  const first = `[...document.querySelectorAll('table.results')][0]`;
  const throughputs = `[...${first}.tBodies[0].rows].map((row) => Number(row.cells[2].dataset.value))`;
  const before = await evaluate(throughputs);
  await reach('table.results .sort');
  await press('ArrowRight');
  await press('ArrowRight');
  await press('Enter');
  const ascending = [...before].sort((a, b) => a - b);
  expect('ascending', [await evaluate(throughputs), await evaluate(`${first}.querySelector('[aria-sort]').getAttribute('aria-sort')`)],
    [ascending, 'ascending']);
  await press('Enter');
  expect('descending', await evaluate(throughputs), [...ascending].reverse());
  const sorted = await hash();
  await press('Enter');
  expect('in the order of the report', [await evaluate(throughputs), await hash()], [before, '']);

  // A value of a chart.
  await reach('figure svg');
  await press('ArrowRight');
  const value = await said();
  expect('a value is read', [/\d/.test(value), await evaluate(`document.querySelector('.tip').textContent`)], [true, value]);
  await press('End');
  expect('another value', (await said()) !== value, true);
  await press('Escape');
  expect('no value', await evaluate(`document.querySelector('.tip').hidden`), true);

  // A table is filtered and copied.
  await evaluate(`navigator.clipboard.writeText = async (text) => { window.copied = text; }`);
  const tools = `${first}.parentElement.previousElementSibling`;
  await evaluate(`${tools}.classList.add('tools-of-first')`);
  await reach('.tools-of-first > summary');
  await press('Enter');
  const copy = async (number) => {
    await reach(`.tools-of-first button:nth-of-type(${number})`);
    await press('Enter');
    return evaluate('window.copied');
  };
  const [markdown, csv] = [await copy(1), await copy(2)];
  const rows = await evaluate(`${first}.tBodies[0].rows.length`);
  expect('rows of Markdown', markdown.trim().split('\n').length, rows + 2);
  expect('rows of CSV', csv.trim().split('\r\n').length, rows + 1);
  expect('a cell in both', [markdown, csv].map((text) => text.includes('tokio')), [true, true]);

  // The record is downloaded as it was embedded.
  await evaluate(`URL.createObjectURL = (blob) => { window.blob = blob; return '#'; };
    HTMLAnchorElement.prototype.click = function () { window.download = this.download; }`);
  await evaluate(`[...document.querySelectorAll('.view button')].find((it) => it.textContent.startsWith('Download')).classList.add('download')`);
  await reach('button.download');
  await press('Enter');
  const record = await evaluate(`(async () => {
    while (!window.download) await new Promise((done) => setTimeout(done, 10));
    return JSON.parse(await window.blob.text());
  })()`);
  const id = await evaluate(`document.querySelector('[data-run]').dataset.run`);
  expect('the record', [record.id, await evaluate('window.download')], [id, `${id}.json`]);

  // The tab key stops at everything that can be used, with all details open; of a row of sort buttons at one.
  await evaluate(`document.querySelectorAll('details').forEach((it) => { it.open = true; });
    window.stops = new Set();
    document.addEventListener('focusin', (event) => window.stops.add(event.target));
    document.activeElement.blur()`);
  const usable = `[...document.querySelectorAll('a[href], button, input, select, summary, [tabindex]')]
    .filter((it) => it.tabIndex >= 0 && it.getClientRects().length)`;
  const stops = await evaluate(`${usable}.length`);
  // Twice around: the walk begins at the button just pressed, and may leave the page on its way.
  for (let stop = 0; stop <= 2 * stops; stop++) await press('Tab');
  expect('not reached by the tab key', await evaluate(`${usable}.filter((it) => !window.stops.has(it)).map((it) => it.outerHTML.slice(0, 200))`), []);
  expect('there are such elements', stops > 20, true);

  // A view survives a reload, and sections stay reachable.
  const section = await evaluate(`document.querySelector('section.scenario').id`);
  await go(`${section}?hide=threads&reference=tokio&${sorted.slice(2)}`);
  await ready();
  expect('hidden after loading', await shown('threads'), 0);
  expect('reference after loading', await evaluate(column('tokio')), planned.map(() => '1×'));
  expect('sorted after loading', await evaluate(throughputs), [...ascending].reverse());
  const top = () => evaluate(`Math.abs(document.getElementById(${JSON.stringify(section)}).getBoundingClientRect().top) < 100`);
  expect('the section is in sight', await top(), true);
  await evaluate(`document.querySelector('nav a[href="#verdicts"]').click(); new Promise((done) => setTimeout(done, 50))`);
  expect('a link keeps the view', [(await hash()).startsWith('#verdicts?hide=threads'), await shown('threads')], [true, 0]);
  await go('verdicts?hide=nobody&metric=none&reference=none&sort=999.1.ascending&filter=x&sort=0.99.up');
  await ready();
  expect('nonsense in the address changes nothing', await evaluate(column('tokio')), planned);
}

/// The page as it is without scripts, and a script that is not the page's own.
async function withoutScripts({ send, evaluate, go }, expect) {
  await send('Log.disable');
  await evaluate(`document.body.append(Object.assign(document.createElement('script'), { textContent: 'window.foreign = true' }))`);
  expect('another script does not run', await evaluate('window.foreign === undefined'), true);
  const tables = (readFileSync(file, 'utf8').match(/<table/g) || []).length;
  await send('Emulation.setScriptExecutionDisabled', { value: true });
  await go();
  const { root } = await send('DOM.getDocument', { depth: 0 });
  const count = async (selector) => (await send('DOM.querySelectorAll', { nodeId: root.nodeId, selector })).nodeIds.length;
  expect('without scripts', [await count('table'), await count('button, input, select')], [tables, 0]);
  const figures = (readFileSync(file, 'utf8').match(/<figure/g) || []).length;
  const { nodeIds: charts } = await send('DOM.querySelectorAll', { nodeId: root.nodeId, selector: 'figure svg' });
  const { nodeIds: open } = await send('DOM.querySelectorAll', { nodeId: root.nodeId, selector: ':not(details) > table, :not(details) > div > table' });
  const isSeen = (nodeId) => send('DOM.getBoxModel', { nodeId }).then(({ model }) => model.width > 0 && model.height > 0, () => false);
  const seen = async (nodes) => (await Promise.all(nodes.map(isSeen))).filter(Boolean).length;
  expect('charts in sight without scripts', [charts.length, await seen(charts)], [figures, figures]);
  expect('tables in sight without scripts', [open.length > 0, await seen(open)], [true, open.length]);
}

main().catch((error) => { console.error(error); process.exitCode = 1; });
