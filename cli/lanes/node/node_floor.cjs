// The lane `node-floor`: HTTP under the event loop of Node without a client library.
//
// The sessions, the workloads and their checks are those of the lane `node`; a connection is a socket of node:net, and its parser
// knows what these workloads need. Nobody would write a program so: the distance of `node` from it is its client library.
'use strict';

const net = require('node:net');

const { Failure, main } = require('./frame.cjs');
const { OpenPhase } = require('./open.cjs');
const { workloads: http } = require('./http.cjs');
const tasks = require('./tasks.cjs');

const NAME = 'node-floor';
const TIMEOUT_MS = 10_000;
const HEAD_END = Buffer.from('\r\n\r\n');
const LINE_END = Buffer.from('\r\n');

/** Status, body and whether the connection is kept, of a response; or the number of bytes without which it is not whole. */
function parsed(received) {
  const end = received.indexOf(HEAD_END);
  if (end < 0) return received.length + 1;
  const head = received.latin1Slice(0, end + 2);
  const begin = end + HEAD_END.length;
  let body;
  if (/\r\ntransfer-encoding: *chunked/i.test(head)) {
    body = chunks(received, begin);
    if (typeof body === 'number') return body;
  } else {
    const length = Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? 0);
    if (received.length < begin + length) return begin + length;
    if (received.length > begin + length) throw new Failure('io', 'the server sent more than its response');
    body = received.subarray(begin);
  }
  const isKept = head.startsWith('HTTP/1.1') && !/\r\nconnection: *close/i.test(head);
  return { status: Number(head.slice(9, 12)), body, isKept };
}

/** The body in chunks from `begin` on, without fields after it; or the number of bytes without which it is not whole. */
function chunks(received, begin) {
  const parts = [];
  for (;;) {
    const end = received.indexOf(LINE_END, begin);
    if (end < 0) return received.length + 1;
    const size = parseInt(received.latin1Slice(begin, end), 16);
    if (Number.isNaN(size)) throw new Failure('io', 'the length of a chunk is no number');
    begin = end + 2 + size + 2;
    if (received.length < begin) return begin;
    if (size === 0) return Buffer.concat(parts);
    parts.push(received.subarray(end + 2, begin - 2));
  }
}

/** A connection with one request in flight at most. */
class Connection {
  isOpen = true;
  waiting = null;
  parts = [];
  length = 0;
  // Bytes without which the response is not whole.
  needed = 0;

  constructor({ host, port }, traffic) {
    // Until it is open, the server may have seen it.
    traffic.abandoned_connections += 1;
    this.socket = net.connect({ host, port, noDelay: true });
    this.socket.once('connect', () => {
      traffic.abandoned_connections -= 1;
      traffic.connections += 1;
    });
    this.socket.on('data', (data) => this.take(data));
    this.socket.on('error', (error) => this.end(error));
    this.socket.on('close', () => this.end(this.brokenOff()));
    this.socket.setTimeout(TIMEOUT_MS);
    this.socket.on('timeout', () => {
      if (this.waiting) this.end(new Failure('timeout', `no answer in ${TIMEOUT_MS / 1000} s`));
    });
  }

  ask(request) {
    return new Promise((resolve, reject) => {
      this.waiting = { resolve, reject };
      this.socket.write(request);
    });
  }

  take(data) {
    this.parts.push(data);
    this.length += data.length;
    if (this.length < this.needed) return;
    const received = this.parts.length === 1 ? data : Buffer.concat(this.parts, this.length);
    let answer;
    try {
      answer = parsed(received);
    } catch (error) {
      this.end(error);
      return;
    }
    if (typeof answer === 'number') {
      this.parts = [received];
      this.needed = answer;
      return;
    }
    this.parts = [];
    this.length = 0;
    this.needed = 0;
    const { waiting } = this;
    this.waiting = null;
    if (!answer.isKept) this.close();
    waiting?.resolve(answer);
  }

  brokenOff() {
    return this.length
      ? new Failure('short', 'the connection ended within a response')
      : new Failure('reset', 'the connection ended before a response');
  }

  end(error) {
    this.close();
    const { waiting } = this;
    this.waiting = null;
    waiting?.reject(error);
  }

  close() {
    this.isOpen = false;
    this.socket.destroy();
  }
}

/** A client with kept connections: as many as had requests in flight at once. */
class Client {
  idle = [];

  constructor(target, traffic) {
    this.target = target;
    this.traffic = traffic;
  }

  /** Status and body of one response. */
  async ask(method, path, { body } = {}) {
    let request = `${method} ${path} HTTP/1.1\r\nHost: ${this.target.authority}\r\n`;
    if (body !== undefined) {
      request += `Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n`;
    }
    const connection = this.connection();
    try {
      const answer = await connection.ask(`${request}\r\n${body ?? ''}`);
      this.traffic.requests += 1;
      return answer;
    } catch (error) {
      this.traffic.abandoned += 1;
      throw error;
    } finally {
      if (connection.isOpen) this.idle.push(connection);
    }
  }

  connection() {
    while (this.idle.length) {
      const connection = this.idle.pop();
      if (connection.isOpen) return connection;
    }
    return new Connection(this.target, this.traffic);
  }

  close() {
    for (const connection of this.idle) connection.close();
  }
}

/** A workload of the lane `node` with such a client. */
function overSockets(workload) {
  return class extends workload {
    client() {
      return new Client(this.target, this.traffic);
    }
  };
}

const HTTP = ['http-get', 'http-json', 'http-post', 'http-delay', 'http-fanout', 'http-limited'];

main({
  name: NAME,
  family: 'floor',
  summary: 'Node.js: node:net and a parser of our own, a floor',
  OpenPhase,
  workloads: {
    null: tasks.null,
    scripted: tasks.scripted,
    ...Object.fromEntries(HTTP.map((name) => [name, overSockets(http[name])])),
  },
});
