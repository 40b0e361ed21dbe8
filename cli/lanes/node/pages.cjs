// The site of `scrape`, `download` and `crawl`: its report, its pages, its rules, and the checks.
//
// A site that reports its pages is ours; any other one is visited before the measurement, and is expected to be the same from
// then on. Node has no parser of HTML: this one reads tags, comments, scripts and the usual entities, enough for titles and
// links.
'use strict';

const { createHash } = require('node:crypto');
const fs = require('node:fs');

const { Failure, wrongContent } = require('./frame.cjs');
const { exactly } = require('./content.cjs');

const AGENT = 'photofinish';
const NO_TITLE = 'no title';
const MOST_ADDRESSES = 10_000;
const REDIRECTS = [301, 302, 303, 307, 308];

/** The header of a visitor: the site tells visitors apart by their names. */
function headers(name) {
  return { 'User-Agent': AGENT, 'X-Client': name };
}

/** The site's report, or `undefined` if it has none. */
function report({ status, body }) {
  if (status !== 200) return undefined;
  try {
    const found = JSON.parse(body);
    return found.pages ? found : undefined;
  } catch {
    return undefined;
  }
}

const TOKEN = /<!--[^]*?(?:-->|$)|<(\/?)([a-z][^\s/>]*)((?:"[^"]*"|'[^']*'|[^>"'])*)>/gi;
const ATTRIBUTE = /([^\s=/"'>]+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+)))?/g;
const ENTITIES = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'", nbsp: '\u00a0' };

function decoded(text) {
  return text.replace(/&(?:#x([0-9a-f]+)|#(\d+)|(\w+));/gi, (whole, hex, decimal, name) => {
    if (name) return ENTITIES[name] ?? whole;
    const code = hex ? parseInt(hex, 16) : Number(decimal);
    return code <= 0x10ffff ? String.fromCodePoint(code) : '\ufffd';
  });
}

function attributesOf(text) {
  const found = {};
  for (const [, name, double, single, bare] of text.matchAll(ATTRIBUTE)) {
    found[name.toLowerCase()] ??= decoded(double ?? single ?? bare ?? '');
  }
  return found;
}

/** The title and the links of a page. Pictures have titles of their own. */
function page(body) {
  const html = body.toString();
  const found = { title: NO_TITLE, links: [], base: undefined };
  let pictures = 0;
  const token = new RegExp(TOKEN);
  for (let match = token.exec(html); match; match = token.exec(html)) {
    const [, end, tag, text] = match;
    const name = tag?.toLowerCase();
    if (name === 'svg') pictures = Math.max(pictures + (end ? -1 : 1), 0);
    if (end || !name) continue;
    const { href } = attributesOf(text);
    if ((name === 'a' || name === 'area') && href !== undefined) found.links.push(href);
    if (name === 'base') found.base ??= href;
    if (['script', 'style', 'textarea', 'title'].includes(name)) {
      // Up to its end this is text, whatever it looks like.
      const rest = html.slice(token.lastIndex);
      const length = rest.search(new RegExp(`</${name}[\\s/>]`, 'i'));
      const inner = length < 0 ? rest : rest.slice(0, length);
      token.lastIndex += inner.length;
      if (name === 'title' && !pictures && found.title === NO_TITLE) {
        found.title = decoded(inner).split(/[ \t\n\f\r]+/).filter(Boolean).join(' ');
      }
    }
  }
  return found;
}

/** An address that a page refers to; `undefined` if it is none. */
function resolved(link, base) {
  try {
    const url = new URL(link, base);
    url.hash = '';
    return url;
  } catch {
    return undefined;
  }
}

/** The rules for this visitor in a robots.txt: the longest one that fits decides (RFC 9309). */
class Robots {
  constructor({ status, body }) {
    this.rules = [];
    if (status >= 200 && status < 300) this.read(body.toString());
    else if (status < 400 || status >= 500) this.rules = [{ rule: '', isAllowed: false }];
  }

  read(text) {
    const groups = new Map();
    let agents = [];
    let inRules = false;
    for (const line of text.replace(/^\ufeff/, '').split(/\r\n|\r|\n/)) {
      const [name, ...rest] = line.split('#')[0].split(':');
      const field = name.trim().toLowerCase();
      const value = rest.join(':').trim();
      if (field === 'user-agent') {
        if (inRules) agents = [];
        inRules = false;
        agents.push(value.toLowerCase());
        if (!groups.has(agents.at(-1))) groups.set(agents.at(-1), []);
      } else if (field === 'allow' || field === 'disallow') {
        inRules = true;
        if (value) for (const agent of agents) groups.get(agent).push({ rule: value, isAllowed: field === 'allow' });
      }
    }
    this.rules = groups.get(AGENT) ?? groups.get('*') ?? [];
  }

  allow(path) {
    let best = { rule: '', isAllowed: true };
    for (const rule of this.rules.filter((rule) => fits(rule.rule, path))) {
      const isLonger = rule.rule.length > best.rule.length;
      if (isLonger || (rule.rule.length === best.rule.length && rule.isAllowed)) best = rule;
      else if (!rule.rule.length) best = rule;
    }
    return best.isAllowed;
  }
}

function fits(rule, path) {
  const parts = rule.replace(/\$$/, '').split('*');
  const pattern = parts.map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('.*');
  return new RegExp(`^${pattern}${rule.endsWith('$') ? '$' : ''}`).test(path);
}

function pathOf(url) {
  return url.pathname + url.search;
}

/** The addresses of a crawl: those seen, and those that wait for their visit. */
class Frontier {
  seen = new Set();
  waiting = [];

  constructor(root, robots) {
    this.origin = new URL(root).origin;
    this.robots = robots;
    this.offer(resolved(root));
  }

  /** Adds an address to those that wait, if it is new and may be visited. */
  offer(url) {
    if (url?.origin !== this.origin || this.seen.has(url.href)) return;
    if (this.seen.size >= MOST_ADDRESSES) {
      throw new Failure('io', `the site has more than ${MOST_ADDRESSES} addresses, too many for a crawl`);
    }
    this.seen.add(url.href);
    if (this.robots.allow(pathOf(url))) this.waiting.push(url);
  }

  /** What a response says about an address: its title if it is a page. Its links and redirects are offered. */
  visited(url, { status, fields, body }) {
    if (status === 200 && (fields['content-type'] ?? '').toLowerCase().startsWith('text/html')) {
      const found = page(body);
      const base = resolved(found.base ?? '', url) ?? url;
      for (const link of found.links) this.offer(resolved(link, base));
      return found.title;
    }
    if (REDIRECTS.includes(status)) this.offer(resolved(fields.location, url));
    else if (status >= 500) throw new Failure('status', `GET ${pathOf(url)} answered ${status} to the last of several tries`);
    return undefined;
  }
}

/** The title of each page that a crawl must find, by address. */
function expectedPages(found, root) {
  const allowed = found.pages.filter((it) => it.allowed);
  return allowed.map(({ path, title }) => [new URL(path, root).href, title ?? NO_TITLE]);
}

function expectedTitles(found, paths) {
  const titles = new Map(found.pages.map(({ path, title }) => [path, title ?? NO_TITLE]));
  return paths.map((path) => titles.get(path));
}

function line(address, title) {
  return `${address}\t${title}\n`;
}

/** Each expected page once, with its title. */
function checkResults(expected, text) {
  const lines = expected.map(([address, title]) => line(address, title).trimEnd());
  exactly(lines.sort(), text.trimEnd().split('\n').sort(), 'as pages');
}

/** Violations in the requests that the site has received since `before`. */
function wrongVisits(found, before, totals) {
  const seen = new Map();
  for (const [path, count] of Object.entries(found.requests)) seen.set(path, count - (before.requests[path] ?? 0));
  const disallowed = found.disallowed_requests - before.disallowed_requests;
  const broken = disallowed ? [`${disallowed} requests of pages that robots.txt disallows`] : [];
  if (totals.failed) return broken;
  const crawls = totals.succeeded;
  const times = new Map([['/robots.txt', 1]]);
  for (const { path, fails_once } of found.pages.filter((it) => it.allowed)) times.set(path, fails_once ? 2 : 1);
  for (const path of found.redirects) times.set(path, 1);
  for (const { path } of found.documents) times.set(path, 1);
  for (const [path, each] of times) {
    const got = seen.get(path) ?? 0;
    seen.delete(path);
    if (got !== each * crawls) broken.push(`expected ${each * crawls} requests of ${path} in ${crawls} crawls, got ${got}`);
  }
  // The others are broken links, none of which is tried twice.
  for (const [path, count] of seen) {
    if (count > crawls) broken.push(`expected at most ${crawls} requests of ${path} in ${crawls} crawls, got ${count}`);
  }
  return broken;
}

/** The documents of `download`: length and digest of each, and the files that they are saved to. */
class Documents {
  constructor(paths, found) {
    this.paths = paths;
    this.known = paths.map((path) => found?.documents.find((it) => it.path === path));
  }

  learn(number, body) {
    this.known[number] = { length_bytes: body.length, sha256: digest(body) };
  }

  checkLength(number, body) {
    const expected = this.known[number].length_bytes;
    if (body.length !== expected) {
      throw wrongContent(`GET ${this.paths[number]}: expected ${expected} bytes, got ${body.length}`);
    }
  }

  /** Violations in a saved document, whose file is removed. */
  wrongFile(number, saved) {
    if (!fs.existsSync(saved)) return [];
    const isRight = digest(fs.readFileSync(saved)) === this.known[number].sha256;
    fs.rmSync(saved);
    return isRight ? [] : [`${saved} is not ${this.paths[number]} as it was served`];
  }
}

function digest(bytes) {
  return createHash('sha256').update(bytes).digest('hex');
}

module.exports = {
  Documents,
  Frontier,
  REDIRECTS,
  Robots,
  checkResults,
  expectedPages,
  expectedTitles,
  headers,
  line,
  page,
  pathOf,
  report,
  resolved,
  wrongVisits,
};
