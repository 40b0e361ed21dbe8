// Opens pages in headless Chromium, wide and narrow, light and dark, and prints everything that is wrong with them as JSON:
// violations that axe finds, console messages, requests beyond the page itself, pages wider than the window, and matrices
// that end below the first screen.
//
// node axe.cjs CHROMIUM PROFILE PAGE...; needs axe-core and ws (NODE_PATH).
'use strict';

const { readFileSync } = require('node:fs');
const { start } = require('./chromium.cjs');

const AXE = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');
const WIDTHS = [1280, 390];
const HEIGHT = 800;

const [program, profile, ...pages] = process.argv.slice(2);

// What a chart is made of is behind its name and title, and axe takes minutes over thousands of shapes.
const PREPARE = `document.querySelectorAll('details').forEach((part) => { part.open = true; });
  document.querySelectorAll('figure svg > :not(title, desc)').forEach((shape) => shape.remove());`;

// On dark only the colours differ.
const RULES = { light: {}, dark: { runOnly: ['color-contrast'] } };
const runAxe = (scheme) => `axe.run(document, ${JSON.stringify(RULES[scheme])}).then((results) => results.violations.map(
  (it) => it.id + ': ' + it.nodes.slice(0, 3).map((node) => node.target.join(' ') + ' ' + node.html.slice(0, 160) + ' ' +
  (node.any[0] || node.all[0] || node.none[0] || { message: '' }).message).join(' | ')))`;

async function check(browser, page, problems) {
  let view = 'load';
  const report = (kind, text) => problems.push({ page, view, kind, text });
  const { send, evaluate, close } = await browser.open(page, report);
  await send('Emulation.setDeviceMetricsOverride', { width: WIDTHS[0], height: HEIGHT, deviceScaleFactor: 1, mobile: false });
  view = 'first screen';
  const bottom = await evaluate(`Math.round(document.querySelector('.matrix')?.getBoundingClientRect().bottom ?? 0)`);
  if (bottom > HEIGHT) report('scroll', `the matrix ends at ${bottom} of ${HEIGHT} pixels`);
  await evaluate(AXE);
  await evaluate(PREPARE);
  for (const width of WIDTHS) {
    await send('Emulation.setDeviceMetricsOverride', { width, height: HEIGHT, deviceScaleFactor: 1, mobile: false });
    const wide = await evaluate('document.documentElement.scrollWidth');
    view = `${width}`;
    if (wide > width) report('overflow', `${wide} pixels wide in a window of ${width}`);
    for (const scheme of Object.keys(RULES)) {
      view = `${width} ${scheme}`;
      await send('Emulation.setEmulatedMedia', { features: [{ name: 'prefers-color-scheme', value: scheme }] });
      for (const violation of await evaluate(runAxe(scheme))) report('violation', violation);
    }
  }
  await close();
}

async function main() {
  const problems = [];
  const browser = await start(program, profile);
  try {
    for (const page of pages) await check(browser, page, problems);
  } finally {
    browser.close();
  }
  console.log(JSON.stringify(problems));
}

main().catch((error) => { console.error(error); process.exitCode = 1; });
