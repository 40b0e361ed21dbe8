// HTTP workloads with node:http, the client of the standard library, and an agent that keeps connections.
'use strict';

const http = require('node:http');
const net = require('node:net');
const { setTimeout } = require('node:timers/promises');

const { Failure, Traffic, Workload, clock, drawBelow, gathered, kindOf, u64, wrongContent } = require('./frame.cjs');
const content = require('./content.cjs');
const { Semaphore } = require('./queues.cjs');

const TIMEOUT_MS = 10_000;

/** An agent that counts the connections it opens. */
class CountingAgent extends http.Agent {
  constructor(traffic, connections, options) {
    super({ keepAlive: true, maxSockets: connections, maxFreeSockets: connections, timeout: TIMEOUT_MS, ...options });
    this.traffic = traffic;
  }

  createConnection(options, callback) {
    // Until it is open, the server may have seen it.
    this.traffic.abandoned_connections += 1;
    const socket = super.createConnection(options, callback);
    socket.once('connect', () => {
      this.traffic.abandoned_connections -= 1;
      this.traffic.connections += 1;
    });
    return socket;
  }
}

/** A client with as many kept connections as may have requests in flight. */
class Client {
  constructor(target, traffic, connections, options) {
    this.target = target;
    this.traffic = traffic;
    this.agent = new CountingAgent(traffic, connections, options);
  }

  /** Status, header and body of one response. */
  async ask(method, path, { body, headers, signal } = {}) {
    const fields = { Host: this.target.authority, ...headers };
    if (body !== undefined) {
      fields['Content-Type'] = 'application/json';
      fields['Content-Length'] = Buffer.byteLength(body);
    }
    const { host, port } = this.target;
    try {
      const answer = await exchange({ agent: this.agent, host, port, method, path, headers: fields, signal }, body);
      this.traffic.requests += 1;
      return answer;
    } catch (error) {
      this.traffic.abandoned += 1;
      throw error;
    }
  }

  close() {
    this.agent.destroy();
  }
}

function exchange(options, body) {
  return new Promise((resolve, reject) => {
    const request = http.request(options, (response) => {
      const chunks = [];
      response.on('data', (chunk) => chunks.push(chunk));
      response.on('end', () => {
        const whole = chunks.length === 1 ? chunks[0] : Buffer.concat(chunks);
        resolve({ status: response.statusCode, fields: response.headers, body: whole });
      });
      response.on('error', (error) => {
        const isShort = error.code === 'ECONNRESET';
        reject(isShort ? new Failure('short', 'the connection ended within a response') : error);
      });
    });
    request.on('timeout', () => request.destroy(new Failure('timeout', `no answer in ${TIMEOUT_MS / 1000} s`)));
    request.on('error', reject);
    request.end(body);
  });
}

/** The path of operation `op`, for a server that draws by its number. */
function numbered(path, op) {
  return `${path}${path.includes('?') ? '&' : '?'}op=${op}`;
}

class Http extends Workload {
  // Requests of an operation, and connections of a session: as many as are in flight at once.
  requests = 1;
  connections = 1;

  async prepare() {
    this.target = this.round.target('http', 'http');
    this.traffic = this.round.traffic.http;
    this.expectation = new content.Expectation(this.params);
  }

  client(connections, options) {
    return new Client(this.target, this.traffic, connections, options);
  }

  /** All sessions share a client, and with it an agent. */
  async open() {
    this.shared ??= this.client(this.connections * this.round.sessions);
    return this.shared;
  }

  async close(session) {
    session.close();
  }

  /** The bodies of responses before the measurement, by path, to compare later ones with. */
  async fetch(paths) {
    const client = this.client(1);
    const bodies = {};
    for (const path of new Set(paths)) {
      const { status, body } = await client.ask('GET', path);
      this.expectation.checkStatus(`GET ${path}`, status);
      bodies[path] = body;
    }
    client.close();
    return bodies;
  }

  async get(client, path, expected, options) {
    this.expectation.check(`GET ${path}`, await client.ask('GET', path, options), expected);
  }

  violations(totals) {
    return totals.wrongRequests('http', this.requests);
  }
}

class HttpGet extends Http {
  async prepare() {
    await super.prepare();
    this.path = this.target.path(this.params.path);
    this.expected = (await this.fetch([this.path]))[this.path];
  }

  async operate(client, op) {
    const path = this.params.numbered ? numbered(this.path, op) : this.path;
    await this.get(client, path, this.expected);
  }
}

/** A new connection for each request. */
class HttpConnect extends HttpGet {
  async open() {
    this.shared ??= this.client(Infinity, { keepAlive: false });
    return this.shared;
  }

  violations(totals) {
    const { succeeded, failed, connections } = totals;
    const found = super.violations(totals);
    if (!failed && connections.http !== succeeded) {
      found.push(`expected a connection for each of ${succeeded} requests, got ${connections.http}`);
    }
    return found;
  }
}

class HttpPost extends Http {
  async prepare() {
    await super.prepare();
    this.path = this.target.path(this.params.path);
    const size = content.sizeInBytes(this.params.size);
    this.filling = 'abcdefghijklmnopqrstuvwxyz'.repeat(Math.floor(size / 26) + 1).slice(0, size);
  }

  async operate(client, op) {
    const sent = { operation: op, filling: this.filling };
    const { status, body } = await client.ask('POST', this.path, { body: JSON.stringify(sent) });
    this.expectation.checkStatus(`POST ${this.path}`, status);
    if (!this.expectation.compares) return;
    const { operation, filling } = JSON.parse(body);
    if (operation !== op || filling !== this.filling) {
      throw wrongContent(`expected the document of operation ${op}, got another`);
    }
  }
}

/** URLs one after another over one connection. */
class HttpStream extends Http {
  async prepare() {
    await super.prepare();
    this.requests = this.params.urls;
    this.paths = Array.from({ length: this.requests }, (_, url) => this.target.path(`${this.params.path}${url + 1}`));
    this.expected = await this.fetch(this.paths);
  }

  async operate(client) {
    for (const path of this.paths) await this.get(client, path, this.expected[path]);
  }
}

/** Several requests at once. */
class FanOut extends Http {
  async prepare() {
    await super.prepare();
    this.paths = this.planned().map((path) => this.target.path(path));
    this.requests = this.connections = this.paths.length;
    this.expected = await this.fetch(this.paths);
  }

  async operate(client) {
    await gathered(this.paths.map((path, place) => this.part(client, path, place)));
  }

  async part(client, path) {
    await this.get(client, path, this.expected[path]);
  }
}

class HttpFanout extends FanOut {
  planned() {
    return this.params.paths;
  }
}

class HttpDelay extends FanOut {
  planned() {
    return Array(this.params.requests).fill(this.params.path);
  }
}

class HttpJson extends FanOut {
  planned() {
    return [this.params.user, ...this.params.posts];
  }

  async prepare() {
    await super.prepare();
    this.documents = new content.Documents(this.paths.map((path) => this.expected[path]), this.expectation);
  }

  async part(client, path, place) {
    this.documents.check(place, `GET ${path}`, await client.ask('GET', path));
  }
}

/** Many URLs, of which a semaphore lets a few be in flight. */
class HttpLimited extends Http {
  async prepare() {
    await super.prepare();
    this.requests = this.params.urls;
    this.connections = this.params.at_once;
    this.paths = Array.from({ length: this.params.longest_units }, (_, shorter) =>
      this.target.path(content.delayedPath(this.round.unitNs * (shorter + 1))),
    );
    this.expected = await this.fetch(this.paths);
  }

  /** The paths of an operation, each drawn by its number. */
  drawnPaths(op) {
    const first = BigInt(op) * BigInt(this.requests);
    return Array.from({ length: this.requests }, (_, url) => {
      const index = u64(first + BigInt(url));
      return this.paths[drawBelow(this.round.seed, index, this.paths.length)];
    });
  }

  async operate(client, op) {
    const semaphore = new Semaphore(this.connections);
    const inFlight = new content.Peak();
    const fetch = (path) =>
      semaphore.during(() => inFlight.during(() => this.get(client, path, this.expected[path])));
    await gathered(this.drawnPaths(op).map(fetch));
    inFlight.atMost(this.connections, 'requests in flight');
  }
}

/** Many URLs in a queue to a few workers, which end when it is empty. */
class HttpQueue extends Http {
  async prepare() {
    await super.prepare();
    this.requests = this.params.urls;
    this.connections = this.params.workers;
    this.paths = Array.from({ length: this.requests }, (_, url) => this.target.path(`${this.params.path}${url + 1}`));
    this.expected = await this.fetch(this.paths);
  }

  async operate(client) {
    const queue = [...this.paths.keys()];
    const fetched = [];
    const worker = async () => {
      while (queue.length) {
        const url = queue.shift();
        await this.get(client, this.paths[url], this.expected[this.paths[url]]);
        fetched.push(url);
      }
    };
    await gathered(Array.from({ length: this.connections }, worker));
    content.eachOnce(fetched, this.requests, 'URL');
  }
}

/** A request that is aborted at a deadline before its response; shielded, it goes on without its caller. */
class HttpTimeout extends Http {
  answered = 0;

  async prepare() {
    await super.prepare();
    this.deadline = new content.Deadline(this);
    this.path = this.target.path(this.params.path || content.delayedPath(this.deadline.answerNs));
    this.expected = (await this.fetch([this.path]))[this.path];
  }

  /** A client of its own: the next operation has to find no connection. */
  async open() {
    return this.client(1);
  }

  async operate(client) {
    const begun = clock();
    const deadlineMs = content.timerMs(this.deadline.ns);
    const answered = this.deadline.shielded
      ? await this.shielded(client, begun, deadlineMs)
      : await this.aborted(client, begun, deadlineMs);
    this.answered += answered;
    this.round.number('answered_past_deadline_share', answered);
  }

  async aborted(client, begun, deadlineMs) {
    let answered = 1;
    try {
      await this.get(client, this.path, this.expected, { signal: AbortSignal.timeout(deadlineMs) });
    } catch (error) {
      if (error.name !== 'AbortError') throw error;
      answered = 0;
    }
    this.deadline.checkEnding(clock() - begun);
    // The next operation starts as after a request that was given up: with a new connection.
    if (answered) client.close();
    return answered;
  }

  async shielded(client, begun, deadlineMs) {
    const work = this.get(client, this.path, this.expected);
    const timer = new AbortController();
    const answered = await Promise.race([work.then(() => 1), setTimeout(deadlineMs, 0, timer)]);
    timer.abort();
    this.deadline.checkEnding(clock() - begun);
    await work;
    return answered;
  }

  violations(totals) {
    return this.deadline.violations(totals, this.answered);
  }
}

/** An endpoint that fails before it succeeds, asked again after waits that double up to a cap. */
class HttpRetry extends Http {
  async operate(client, op) {
    const path = this.target.path(`${this.params.path}${op}`);
    const backOff = new content.BackOff(this);
    let status;
    for (let attempt = 1; attempt <= this.params.tries; attempt += 1) {
      if (attempt > 1) await setTimeout(content.timerMs(backOff.beforeNs(attempt)));
      const begun = clock();
      ({ status } = await client.ask('GET', path));
      backOff.attempts.push({ begun, ended: clock() });
      if (status === 200) break;
    }
    backOff.check(status);
  }

  violations(totals) {
    return content.wrongAttempts(totals, this.params.tries);
  }
}

// The failures of `http-errors`, in turn.
const FAULTS = ['refused', 'reset', 'unknown-host', 'status'];

// A label of a name has at most 63 letters (RFC 1035, section 2.3.4): this name has no address, and nobody is asked.
const UNKNOWN_HOST = 'a234567890123456789012345678901234567890123456789012345678901234';

/** A port that nobody listens on, below those that systems give to clients: none of them may come to have it. */
async function closedPort() {
  for (;;) {
    const port = 10_000 + Math.floor(Math.random() * 5_000);
    const server = net.createServer();
    const isFree = await new Promise((resolve) => {
      server.once('error', () => resolve(false));
      server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
    });
    if (isFree) return port;
  }
}

/** Three requests at once, one of which fails: refused, reset, of an unknown host or with a status, in turn. */
class HttpErrors extends Http {
  answers = 0;

  async prepare() {
    await super.prepare();
    this.paths = this.params.paths.map((path) => this.target.path(path));
    this.expected = await this.fetch(this.paths);
    this.closedPort = await closedPort();
  }

  async open() {
    const { sessions } = this.round;
    // What never reaches the server is not part of its traffic.
    const elsewhere = (host, port) => new Client({ host, port, authority: `${host}:${port}` }, new Traffic(), sessions);
    this.clients ??= {
      others: this.client(this.paths.length * sessions),
      refused: elsewhere('127.0.0.1', this.closedPort),
      'unknown-host': elsewhere(UNKNOWN_HOST, 80),
      reset: this.client(sessions),
      status: this.client(sessions),
    };
    return this.clients;
  }

  async close(session) {
    for (const client of Object.values(session)) client.close();
  }

  async operate(session, op) {
    const kind = FAULTS[op % 4];
    const path = kind === 'reset' ? this.params.reset : this.params.failing;
    const parts = this.paths.map((path) => this.get(session.others, path, this.expected[path]));
    await gathered([this.fail(session[kind], kind, path), ...parts]);
  }

  async fail(client, expected, path) {
    let got = 'success';
    try {
      const { status } = await client.ask('GET', path);
      if (status >= 400) got = 'status';
    } catch (error) {
      got = kindOf(error);
    }
    if (got !== expected) throw wrongContent(`expected failure \`${expected}\`, got \`${got}\``);
    this.answers += expected === 'status';
  }

  violations(totals) {
    return totals.wrongRequests('http', this.paths.length, this.answers);
  }
}

module.exports = {
  Http,
  workloads: {
    'http-get': HttpGet,
    'http-connect': HttpConnect,
    'http-post': HttpPost,
    'http-stream': HttpStream,
    'http-fanout': HttpFanout,
    'http-delay': HttpDelay,
    'http-json': HttpJson,
    'http-limited': HttpLimited,
    'http-queue': HttpQueue,
    'http-timeout': HttpTimeout,
    'http-retry': HttpRetry,
    'http-errors': HttpErrors,
  },
};
