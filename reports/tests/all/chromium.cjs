// Headless Chromium over its debugging protocol: pages, and everything that the browser says about them.
//
// Needs ws (NODE_PATH).
'use strict';

const { spawn } = require('node:child_process');
const { pathToFileURL } = require('node:url');
const WebSocket = require('ws');

const LONGEST_STEP_MS = 120_000;

const FLAGS = ['--headless', '--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync', '--remote-debugging-port=0'];

/// A browser with a profile of its own: `open` loads a page and calls `report` with a kind and a text of what is wrong.
async function start(program, profile) {
  const browser = spawn(program, [...FLAGS, `--user-data-dir=${profile}`, 'about:blank'], { stdio: ['ignore', 'ignore', 'pipe'] });
  const connection = await connect(await address(browser, program));
  const open = (page, report) => load(connection, pathToFileURL(page).href, report);
  return { open, close: () => { connection.close(); browser.kill(); } };
}

const address = (browser, program) => new Promise((resolve, reject) => {
  let said = '';
  browser.once('exit', () => reject(new Error(`${program} ended: ${said}`)));
  browser.stderr.on('data', (chunk) => {
    said += chunk;
    const found = /DevTools listening on (ws:\S+)/.exec(said);
    if (found) resolve(found[1]);
  });
});

/// `send` answers with the result, `listeners` get every event.
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

async function load(connection, url, report) {
  const { targetId } = await connection.send('Target.createTarget', { url: 'about:blank' });
  const { sessionId } = await connection.send('Target.attachToTarget', { targetId, flatten: true });
  const send = (method, params) => connection.send(method, params, sessionId);
  let loaded;
  const listener = ({ method, params, sessionId: of }) => {
    if (of !== sessionId) return;
    if (method === 'Page.loadEventFired') loaded();
    if (method === 'Runtime.consoleAPICalled') report('console', JSON.stringify(params.args));
    if (method === 'Runtime.exceptionThrown') report('console', JSON.stringify(params.exceptionDetails).slice(0, 500));
    if (method === 'Log.entryAdded') report('console', params.entry.text);
    if (method === 'Network.requestWillBeSent' && params.request.url.split('#')[0] !== url) report('request', params.request.url);
  };
  connection.listeners.add(listener);
  for (const domain of ['Page', 'Runtime', 'Log', 'Network']) await send(`${domain}.enable`);

  async function evaluate(expression) {
    const answer = await send('Runtime.evaluate', { expression, awaitPromise: true, returnByValue: true });
    if (answer.exceptionDetails) throw new Error(JSON.stringify(answer.exceptionDetails).slice(0, 500));
    return answer.result.value;
  }

  /// Loads the page, with these words after `#`.
  async function go(hash = '') {
    const isLoaded = new Promise((resolve) => { loaded = resolve; });
    // Another name after `#` alone would not load anything.
    await send('Page.navigate', { url: 'about:blank' });
    await isLoaded;
    const isShown = new Promise((resolve) => { loaded = resolve; });
    await send('Page.navigate', { url: hash ? `${url}#${hash}` : url });
    await isShown;
  }

  async function close() {
    connection.listeners.delete(listener);
    await connection.send('Target.closeTarget', { targetId });
  }

  await go();
  return { send, evaluate, go, close };
}

module.exports = { start };
