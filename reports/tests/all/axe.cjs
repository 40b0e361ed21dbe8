// Opens pages in headless Chromium, wide and narrow, light and dark, and prints everything that is wrong with them as JSON:
// violations that axe finds, console messages, requests beyond the page itself, and pages wider than the window.
//
// node axe.cjs CHROMIUM PROFILE PAGE...; needs axe-core and ws (NODE_PATH).
'use strict';

const { spawn } = require('node:child_process');
const { readFileSync } = require('node:fs');
const { pathToFileURL } = require('node:url');
const WebSocket = require('ws');

const AXE = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');
const WIDTHS = [1280, 390];
const LONGEST_STEP_MS = 120_000;

const [program, profile, ...pages] = process.argv.slice(2);
const flags = ['--headless', '--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync', '--remote-debugging-port=0', `--user-data-dir=${profile}`, 'about:blank'];
const browser = spawn(program, flags, { stdio: ['ignore', 'ignore', 'pipe'] });

const address = () => new Promise((resolve, reject) => {
  let said = '';
  browser.once('exit', () => reject(new Error(`${program} ended: ${said}`)));
  browser.stderr.on('data', (chunk) => {
    said += chunk;
    const found = /DevTools listening on (ws:\S+)/.exec(said);
    if (found) resolve(found[1]);
  });
});

/// A connection to the browser: `send` answers with the result, `listen` gets every event of the page.
async function connect(url) {
  const socket = new WebSocket(url, { perMessageDeflate: false });
  await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
  const waiting = new Map();
  const listeners = new Set();
  let last = 0;
  socket.on('message', (text) => {
    const message = JSON.parse(text);
    if (!message.id) return listeners.forEach((listener) => listener(message));
    const { resolve, reject } = waiting.get(message.id);
    waiting.delete(message.id);
    message.error ? reject(new Error(message.error.message)) : resolve(message.result);
  });
  const send = (method, params = {}, sessionId = undefined) => new Promise((resolve, reject) => {
    waiting.set(++last, { resolve, reject });
    socket.send(JSON.stringify({ id: last, method, params, sessionId }));
    setTimeout(() => reject(new Error(`${method} took too long`)), LONGEST_STEP_MS).unref();
  });
  return { send, listeners, close: () => socket.terminate() };
}

async function evaluate(send, expression) {
  const answer = await send('Runtime.evaluate', { expression, awaitPromise: true, returnByValue: true });
  if (answer.exceptionDetails) throw new Error(JSON.stringify(answer.exceptionDetails).slice(0, 500));
  return answer.result.value;
}

// What a chart is made of is behind its name and title, and axe takes minutes over thousands of shapes.
const PREPARE = `document.querySelectorAll('details').forEach((part) => { part.open = true; });
  document.querySelectorAll('figure svg > :not(title, desc)').forEach((shape) => shape.remove());`;

// On dark only the colours differ.
const RULES = { light: {}, dark: { runOnly: ['color-contrast'] } };
const runAxe = (scheme) => `axe.run(document, ${JSON.stringify(RULES[scheme])}).then((results) => results.violations.map(
  (it) => it.id + ': ' + it.nodes.slice(0, 3).map((node) => node.target.join(' ') + ' ' + node.html.slice(0, 160) + ' ' +
  (node.any[0] || node.all[0] || node.none[0] || { message: '' }).message).join(' | ')))`;

async function check(connection, page, problems) {
  const { targetId } = await connection.send('Target.createTarget', { url: 'about:blank' });
  const { sessionId } = await connection.send('Target.attachToTarget', { targetId, flatten: true });
  const send = (method, params) => connection.send(method, params, sessionId);
  const url = pathToFileURL(page).href;
  let view = 'load';
  const report = (kind, text) => problems.push({ page, view, kind, text });
  let loaded;
  const isLoaded = new Promise((resolve) => { loaded = resolve; });
  const listener = ({ method, params, sessionId: of }) => {
    if (of !== sessionId) return;
    if (method === 'Page.loadEventFired') loaded();
    if (method === 'Runtime.consoleAPICalled') report('console', JSON.stringify(params.args));
    if (method === 'Runtime.exceptionThrown') report('console', params.exceptionDetails.text);
    if (method === 'Log.entryAdded') report('console', params.entry.text);
    if (method === 'Network.requestWillBeSent' && params.request.url.split('#')[0] !== url) report('request', params.request.url);
  };
  connection.listeners.add(listener);
  for (const domain of ['Page', 'Runtime', 'Log', 'Network']) await send(`${domain}.enable`);
  await send('Page.navigate', { url });
  await isLoaded;
  await evaluate(send, AXE);
  await evaluate(send, PREPARE);
  for (const width of WIDTHS) {
    await send('Emulation.setDeviceMetricsOverride', { width, height: 800, deviceScaleFactor: 1, mobile: false });
    const wide = await evaluate(send, 'document.documentElement.scrollWidth');
    view = `${width}`;
    if (wide > width) report('overflow', `${wide} pixels wide in a window of ${width}`);
    for (const scheme of Object.keys(RULES)) {
      view = `${width} ${scheme}`;
      await send('Emulation.setEmulatedMedia', { features: [{ name: 'prefers-color-scheme', value: scheme }] });
      for (const violation of await evaluate(send, runAxe(scheme))) report('violation', violation);
    }
  }
  connection.listeners.delete(listener);
  await connection.send('Target.closeTarget', { targetId });
}

async function main() {
  const problems = [];
  const connection = await connect(await address());
  for (const page of pages) await check(connection, page, problems);
  console.log(JSON.stringify(problems));
  connection.close();
}

main().catch((error) => { console.error(error); process.exitCode = 1; }).finally(() => browser.kill());
