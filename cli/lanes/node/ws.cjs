// Workloads with WebSockets, with ws.
'use strict';

const { once } = require('node:events');
const net = require('node:net');

const { Failure, Workload, gathered, packages, wrongContent } = require('./frame.cjs');

// Time after which a message counts as lost.
const PATIENCE_MS = 5_000;

/** A client, and the messages that nobody has waited for yet. */
class Conversation {
  unread = [];

  constructor(socket) {
    this.socket = socket;
    socket.on('message', (data) => {
      const text = data.toString();
      if (this.reader) this.settle('resolve', text);
      else this.unread.push(text);
    });
    socket.on('error', (error) => this.settle('reject', error));
    socket.on('close', () => this.settle('reject', new Failure('reset', 'the connection was closed')));
  }

  settle(how, value) {
    const { reader } = this;
    this.reader = undefined;
    if (!reader) return;
    clearTimeout(reader.timer);
    reader[how](value);
  }

  /** The next message. */
  async receive() {
    if (this.unread.length) return this.unread.shift();
    return new Promise((resolve, reject) => {
      const late = new Failure('timeout', `no message in ${PATIENCE_MS / 1000} s`);
      const timer = setTimeout(() => this.settle('reject', late), PATIENCE_MS);
      this.reader = { resolve, reject, timer };
    });
  }
}

class WebSockets extends Workload {
  static packages = ['ws'];

  async prepare() {
    this.target = this.round.target('ws', 'ws');
    this.traffic = this.round.traffic.ws;
    this.unasked = [];
  }

  async connect(path) {
    const { WebSocket } = packages()('ws');
    const { authority, host, port } = this.target;
    const socket = new WebSocket(`ws://${authority}${path}`, {
      // Compressing short messages would be work that no other runtime does.
      perMessageDeflate: false,
      createConnection: () => net.connect(port, host),
    });
    const conversation = new Conversation(socket);
    await once(socket, 'open');
    this.traffic.connections += 1;
    return conversation;
  }

  /** Closes it; what it had still received belongs to nobody. */
  async disconnect({ socket, unread }) {
    socket.close();
    await once(socket, 'close');
    for (const text of unread) this.unasked.push(`\`${text}\` came, and nobody waited for it`);
  }

  violations() {
    return this.unasked;
  }
}

class WsEcho extends WebSockets {
  async open() {
    return Object.assign(await this.connect(this.target.path(this.params.path)), { said: 0 });
  }

  async close(session) {
    await this.disconnect(session);
  }

  async operate(session) {
    for (let number = 0; number < this.params.messages; number += 1) {
      // Each message is unique, so that a lost or doubled echo shows as what it is.
      session.said += 1;
      const message = `message ${session.said}`;
      session.socket.send(message);
      const answer = await session.receive();
      this.traffic.requests += 1;
      if (answer !== message) throw wrongContent(`\`${message}\` was answered with \`${answer}\``);
    }
  }

  violations(totals) {
    return [...super.violations(), ...totals.wrongRequests('ws', this.params.messages)];
  }
}

/** A room of clients, all of which receive each message; now and then one leaves, and another one speaks in its place. */
class WsChat extends WebSockets {
  newcomers = 0;

  async open(index) {
    const path = `${this.target.path(this.params.path).replace(/\/+$/, '')}/${process.pid}-${index}`;
    const room = { path, clients: [], messages: 0, operations: 0 };
    for (let speaker = 0; speaker < this.params.clients; speaker += 1) {
      room.clients.push(await this.connect(path));
      await this.say(room, speaker);
    }
    return room;
  }

  async close({ clients }) {
    for (const client of clients) await this.disconnect(client);
  }

  async operate(room) {
    room.operations += 1;
    const speaker = room.operations % room.clients.length;
    const { leave_every: every } = this.params;
    if (every !== 0 && room.operations % every === 0) {
      await this.disconnect(room.clients[speaker]);
      room.clients[speaker] = await this.connect(room.path);
      this.newcomers += 1;
    }
    await this.say(room, speaker);
  }

  async say(room, speaker) {
    room.messages += 1;
    const message = `message ${room.messages}`;
    room.clients[speaker].socket.send(message);
    const heard = await gathered(room.clients.map((client) => client.receive()));
    this.traffic.requests += 1;
    for (const text of heard) {
      if (text !== message) throw wrongContent(`expected \`${message}\`, got \`${text}\``);
    }
  }

  violations(totals) {
    const found = [...super.violations(), ...totals.wrongRequests('ws', 1)];
    if (!totals.failed && totals.connections.ws !== this.newcomers) {
      found.push(`expected ${this.newcomers} new clients, got ${totals.connections.ws}`);
    }
    return found;
  }
}

module.exports = { 'ws-echo': WsEcho, 'ws-chat': WsChat };
