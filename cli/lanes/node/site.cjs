// Workloads with a site: pages, documents, and a crawl.
'use strict';

const syncFs = require('node:fs');
const fs = require('node:fs/promises');
const path = require('node:path');
const { setTimeout } = require('node:timers/promises');

const { gathered } = require('./frame.cjs');
const { Peak, exactly, timerMs } = require('./content.cjs');
const { Http } = require('./http.cjs');
const pages = require('./pages.cjs');

class Site extends Http {
  async prepare() {
    await super.prepare();
    syncFs.mkdirSync(this.round.workDir, { recursive: true });
  }

  async report(client) {
    return pages.report(await client.ask('GET', '/site-report', { headers: pages.headers('report') }));
  }

  async body(client, path, name) {
    const { status, body } = await client.ask('GET', path, { headers: pages.headers(name) });
    this.expectation.checkStatus(`GET ${path}`, status);
    return body;
  }

  async open(index) {
    return { client: await super.open(index), index };
  }

  async close({ client }) {
    client.close();
  }
}

/** Several pages at once; the title of each, or that it has none. */
class Scrape extends Site {
  async prepare() {
    await super.prepare();
    this.pages = this.params.pages.map((path) => this.target.path(path));
    this.requests = this.connections = this.pages.length;
    const client = this.client(1);
    const found = await this.report(client);
    if (found) {
      this.titles = pages.expectedTitles(found, this.pages);
    } else {
      this.titles = [];
      for (const path of this.pages) this.titles.push(await this.title(client, path, 'before'));
    }
    client.close();
  }

  async title(client, path, name) {
    return pages.page(await this.body(client, path, name)).title;
  }

  async operate({ client, index }) {
    const titles = await gathered(this.pages.map((path) => this.title(client, path, `scrape-${index}`)));
    if (this.expectation.compares) exactly(this.titles, titles, 'as titles');
  }
}

/** Several documents at once, each saved to a file. */
class Download extends Site {
  async prepare() {
    await super.prepare();
    const paths = this.params.documents.map((path) => this.target.path(path));
    this.requests = this.connections = this.threadCalls = paths.length;
    const client = this.client(1);
    const found = await this.report(client);
    this.documents = new pages.Documents(paths, found);
    if (!found) {
      for (const [number, path] of paths.entries()) this.documents.learn(number, await this.body(client, path, 'before'));
    }
    client.close();
  }

  saved(session, number) {
    return path.join(this.round.workDir, `downloaded-${session}-${number}`);
  }

  async operate({ client, index }) {
    await gathered(
      this.documents.paths.map(async (path, number) => {
        const body = await this.body(client, path, `download-${index}`);
        if (this.expectation.compares) this.documents.checkLength(number, body);
        await fs.writeFile(this.saved(index, number), body);
      }),
    );
  }

  async finish() {
    const found = [];
    for (let session = 0; session < this.round.sessions; session += 1) {
      for (const number of this.documents.paths.keys()) {
        found.push(...this.documents.wrongFile(number, this.saved(session, number)));
      }
    }
    return this.expectation.compares ? found : [];
  }
}

/** A whole site from its root by its robots.txt, a limited number of requests at once, each page once. */
class Crawl extends Site {
  threadCalls = 1;

  async prepare() {
    await super.prepare();
    this.connections = this.params.limit;
    this.root = `http://${this.target.authority}${this.target.path('/')}`;
    const client = this.client(this.connections);
    this.before = await this.report(client);
    this.expected = this.before
      ? pages.expectedPages(this.before, this.root)
      : await this.crawl(client, 'survey', new Peak());
    client.close();
  }

  async open(index) {
    return { ...(await super.open(index)), results: path.join(this.round.workDir, `crawled-${index}.tsv`) };
  }

  async close({ client, results }) {
    client.close();
    await fs.rm(results, { force: true });
  }

  /** A response, asked for again after waits that double while the server has an error. */
  async visit(client, url, name, underWay) {
    const waitNs = this.params.backoff * this.round.unitNs;
    for (let attempt = 1; ; attempt += 1) {
      const answer = await underWay.during(() =>
        client.ask('GET', pages.pathOf(url), { headers: pages.headers(name) }),
      );
      if (answer.status < 500 || attempt === this.params.tries) return answer;
      await setTimeout(timerMs(waitNs * 2 ** (attempt - 1)));
    }
  }

  async robots(client, name, underWay) {
    const url = new URL('/robots.txt', this.root);
    const answer = await this.visit(client, url, name, underWay);
    const moved = pages.REDIRECTS.includes(answer.status) && pages.resolved(answer.fields.location, url);
    return new pages.Robots(moved ? await this.visit(client, moved, name, underWay) : answer);
  }

  /** Address and title of each page, which `found` is told of. */
  async crawl(client, name, underWay, found = async () => {}) {
    const frontier = new pages.Frontier(this.root, await this.robots(client, name, underWay));
    const titles = [];
    const visiting = new Set();
    const visit = async (url) => {
      const title = frontier.visited(url, await this.visit(client, url, name, underWay));
      if (title === undefined) return;
      titles.push([url.href, title]);
      await found(url.href, title);
    };
    while (frontier.waiting.length || visiting.size) {
      while (frontier.waiting.length && visiting.size < this.connections) {
        const task = visit(frontier.waiting.shift());
        const ended = task.finally(() => visiting.delete(ended));
        visiting.add(ended);
      }
      await Promise.race(visiting);
    }
    return titles;
  }

  async operate({ client, index, results }, op) {
    const underWay = new Peak();
    await fs.writeFile(results, '');
    let writing = Promise.resolve();
    const append = (address, title) => {
      // One after another: appended lines must not mix.
      writing = writing.then(() => fs.appendFile(results, pages.line(address, title)));
      return writing;
    };
    await this.crawl(client, `crawl-${process.pid}-${index}-${op}`, underWay, append);
    this.round.number('requests_at_once', underWay.most);
    underWay.atMost(this.connections, 'requests in flight');
    pages.checkResults(this.expected, await fs.readFile(results, 'utf8'));
  }

  violations() {
    return [];
  }

  async finish(totals) {
    if (!this.before) return [];
    const client = this.client(1);
    const found = await this.report(client);
    client.close();
    return pages.wrongVisits(found, this.before, totals);
  }
}

module.exports = { scrape: Scrape, download: Download, crawl: Crawl };
