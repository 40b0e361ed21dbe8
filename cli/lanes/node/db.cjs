// Workloads with PostgreSQL, with pg.
//
// A round works in a schema of its own, marked and locked as those of the other runtimes are, so that a later round drops it if
// this one is killed.
'use strict';

const { randomBytes } = require('node:crypto');
const path = require('node:path');

const { Unsupported, Workload, draw, drawBelow, gathered, packages, wrongContent } = require('./frame.cjs');
const { exactly } = require('./content.cjs');

const TIMEOUT_MS = 10_000;
const PREFIX = 'photofinish_';
const MARK = ': made by photofinish for one round, and dropped after it';
const TABLES = ['accounts', 'customers', 'entries', 'items', 'orders', 'products'];

const QUANTITIES = 97;
const INITIAL_BALANCE = 1_000;
const MOST_TRANSFERRED = 100;

/** Where and as whom to connect. Encryption is off, as for the other runtimes. */
function addressOf(planned) {
  const url = new URL(planned.url);
  const mode = url.searchParams.get('sslmode') ?? 'disable';
  if (planned.tls || !['disable', 'allow', 'prefer'].includes(mode)) {
    throw new Unsupported('this lane connects to databases without TLS only');
  }
  const options = {
    user: decodeURIComponent(url.username) || undefined,
    password: decodeURIComponent(url.password) || undefined,
    database: decodeURIComponent(url.pathname.slice(1)) || undefined,
    ssl: false,
    connectionTimeoutMillis: TIMEOUT_MS,
  };
  const address = String(planned.address ?? `${url.hostname}:${url.port || 5432}`);
  if (address.startsWith('unix:')) {
    const socket = address.slice('unix:'.length);
    return { ...options, host: path.dirname(socket), port: Number(path.extname(socket).slice(1)) };
  }
  const [, host, port] = address.match(/^\[?(.*?)\]?:(\d+)$/);
  return { ...options, host, port: Number(port) };
}

/** The statements that make and drop a round's own schema. */
class Schema {
  name = PREFIX + randomBytes(16).toString('hex');

  qualify(sql) {
    return sql.replaceAll('{schema}', this.name);
  }

  /** Locks it by the first 64 bits of its random name, as a signed number. */
  lock() {
    const key = BigInt.asIntN(64, BigInt(`0x${this.name.slice(PREFIX.length, PREFIX.length + 16)}`));
    return `SELECT pg_try_advisory_lock(${key})`;
  }

  create(isLocked) {
    const mark = isLocked ? `; COMMENT ON SCHEMA ${this.name} IS '${this.name}${MARK}'` : '';
    return `CREATE SCHEMA ${this.name}${mark}`;
  }

  drop() {
    const tables = TABLES.map((table) => `${this.name}.${table}`).join(', ');
    return `SET statement_timeout = 0; DROP TABLE IF EXISTS ${tables}; DROP SCHEMA ${this.name}`;
  }
}

class Database extends Workload {
  static packages = ['pg'];
  requests = 1;

  async prepare() {
    this.pg = packages()('pg');
    this.options = addressOf(this.round.planned('db'));
    this.traffic = this.round.traffic.db;
    this.schema = new Schema();
    const tables = this.statements();
    if (tables.length) await this.makeSchema(tables);
  }

  /** The statements that make its tables, in its schema. */
  statements() {
    return [];
  }

  async connect() {
    const client = new this.pg.Client(this.options);
    await client.connect();
    this.traffic.connections += 1;
    return client;
  }

  /** The result of one request, counted; outside a transaction, one ends with it. */
  async ask(client, statement, values) {
    const result = await client.query(statement, values);
    this.traffic.requests += 1;
    if (!client.isInTransaction) this.traffic.transactions += 1;
    return result;
  }

  /** Creates the schema; the connection that holds its lock does nothing else until it is dropped. */
  async makeSchema(tables) {
    this.keeper = await this.connect();
    let isLocked = true;
    try {
      await this.keeper.query(this.schema.lock());
    } catch (error) {
      if (!error.severity) throw error;
      // A server without such locks.
      isLocked = false;
    }
    this.traffic.requests += 1;
    this.traffic.transactions += 1;
    await this.ask(this.keeper, this.schema.create(isLocked));
    const client = await this.connect();
    for (const statement of tables) await this.ask(client, this.schema.qualify(statement));
    await client.end();
  }

  async dropSchema() {
    if (!this.keeper) return;
    await this.ask(this.keeper, this.schema.drop());
    await this.keeper.end();
  }

  async open() {
    return this.connect();
  }

  async close(client) {
    await client.end();
  }

  async abandon() {
    // What was the matter matters, not that its schema may have to be dropped by a later round.
    await this.dropSchema().catch(() => {});
  }

  async finish() {
    await this.dropSchema();
    return [];
  }

  violations(totals) {
    return totals.wrongRequests('db', this.requests);
  }
}

/** A prepared statement: pg prepares it at its first use by each connection, in the same request. */
class DbSelect extends Database {
  statements() {
    return [
      'CREATE TABLE {schema}.items (id INTEGER PRIMARY KEY, name TEXT NOT NULL, quantity INTEGER NOT NULL)',
      `INSERT INTO {schema}.items (id, name, quantity) SELECT n, 'item ' || n, n % ${QUANTITIES} ` +
        `FROM generate_series(1, ${this.params.rows}) AS n`,
    ];
  }

  async operate(client, op) {
    const key = drawBelow(this.round.seed, op, this.params.rows) + 1;
    const text = this.schema.qualify('SELECT id, name, quantity FROM {schema}.items WHERE id = $1');
    const { rows } = await this.ask(client, { name: 'select-item', text, values: [key] });
    exactly([{ id: key, name: `item ${key}`, quantity: key % QUANTITIES }], rows, `as the row of id ${key}`);
  }
}

const CREATE_ENTRIES =
  'CREATE TABLE IF NOT EXISTS {schema}.entries (id SERIAL PRIMARY KEY, label TEXT NOT NULL, amount INTEGER NOT NULL)';

class DbCrud extends Database {
  statements() {
    this.requests = this.params.inserts + 3;
    return [CREATE_ENTRIES];
  }

  async open() {
    const clients = [];
    for (let number = 0; number < this.params.inserts; number += 1) clients.push(await this.connect());
    return clients;
  }

  async close(clients) {
    for (const client of clients) await client.end();
  }

  async insert(client, label, amount) {
    const text = this.schema.qualify('INSERT INTO {schema}.entries (label, amount) VALUES ($1, $2) RETURNING id');
    const { rows } = await this.ask(client, text, [label, amount]);
    return rows[0].id;
  }

  async operate(clients, op) {
    const label = `operation ${op}`;
    const [first] = clients;
    await this.ask(first, this.schema.qualify(CREATE_ENTRIES));
    const id = await this.insert(first, label, 0);
    const text = this.schema.qualify('SELECT id, label, amount FROM {schema}.entries WHERE id = $1');
    const { rows } = await this.ask(first, text, [id]);
    exactly([{ id, label, amount: 0 }], rows, `as entry ${id}`);
    await gathered(clients.map((client, number) => this.insert(client, label, number + 1)));
  }

  async finish({ succeeded, failed }) {
    const text = 'SELECT COUNT(*), COUNT(DISTINCT id), MIN(id), MAX(id), SUM(amount) FROM {schema}.entries';
    const { rows } = await this.ask(this.keeper, { text: this.schema.qualify(text), rowMode: 'array' });
    await this.dropSchema();
    const [count, distinct, lowest, highest, total] = rows[0].map(Number);
    const { inserts } = this.params;
    const expected = succeeded * (inserts + 1);
    const amounts = (succeeded * inserts * (inserts + 1)) / 2;
    const found = count === distinct ? [] : [`${count} entries have only ${distinct} different ids`];
    if (!failed && expected && `${[count, lowest, highest, total]}` !== `${[expected, 1, expected, amounts]}`) {
      const got = `${count} with ids from ${lowest} to ${highest} and amounts of ${total}`;
      found.push(`expected ${expected} entries with ids from 1 and amounts of ${amounts}, got ${got}`);
    }
    return found;
  }
}

// The tables of `db-pool`, and how many times its rows each has.
const COUNTED = { customers: 1, products: 2, orders: 3 };

/** Three counts at once through pg's pool. */
class DbPool extends Database {
  requests = Object.keys(COUNTED).length;
  opened = 0;
  closed = 0;
  most = 0;

  statements() {
    return Object.entries(COUNTED).flatMap(([table, times]) => [
      `CREATE TABLE {schema}.${table} (id INTEGER PRIMARY KEY)`,
      `INSERT INTO {schema}.${table} (id) SELECT * FROM generate_series(1, ${this.params.rows * times})`,
    ]);
  }

  async prepare() {
    await super.prepare();
    const { minimum: min, maximum: max } = this.params;
    this.round.facts.pool = `pg.Pool, ${min} to ${max}`;
    // By default, a connection is closed when nobody has used it for ten seconds.
    this.pool = new this.pg.Pool({ ...this.options, min, max, idleTimeoutMillis: 0 });
    this.pool.on('connect', () => {
      this.traffic.connections += 1;
      this.opened += 1;
      this.most = Math.max(this.most, this.opened - this.closed);
    });
    this.pool.on('remove', () => (this.closed += 1));
    const clients = await gathered(Array.from({ length: min }, () => this.pool.connect()));
    for (const client of clients) client.release();
  }

  async open() {}

  async close() {}

  async count(table) {
    const sql = this.schema.qualify(`SELECT COUNT(*) AS count FROM {schema}.${table}`);
    const { rows } = await this.ask(this.pool, sql);
    return Number(rows[0].count);
  }

  async operate() {
    const counts = await gathered(Object.keys(COUNTED).map((table) => this.count(table)));
    exactly(Object.values(COUNTED).map((times) => this.params.rows * times), counts, 'as rows of the tables');
  }

  async abandon() {
    await this.pool?.end().catch(() => {});
    await super.abandon();
  }

  async finish({ failed }) {
    await this.pool.end();
    await this.dropSchema();
    const { minimum, maximum } = this.params;
    const found = [];
    if (this.most > maximum) found.push(`expected at most ${maximum} open connections, got ${this.most}`);
    if (this.opened < minimum) found.push(`expected at least ${minimum} open connections, got ${this.opened}`);
    if (!failed && this.opened !== this.most) {
      found.push(`the pool opened ${this.opened} connections for at most ${this.most}, and nothing had failed`);
    }
    return found;
  }
}

class DbConnect extends Database {
  async open() {}

  async close() {}

  async operate() {
    const client = await this.connect();
    try {
      const { rows } = await this.ask(client, 'SELECT 1 AS one');
      exactly([{ one: 1 }], rows, 'from SELECT 1');
    } finally {
      await client.end();
    }
  }
}

/** A transfer between two accounts: BEGIN, two UPDATEs, COMMIT. */
class DbTransaction extends Database {
  requests = 4;

  statements() {
    const { accounts } = this.params;
    this.balances = Array(accounts).fill(INITIAL_BALANCE);
    return [
      'CREATE TABLE {schema}.accounts (id INTEGER PRIMARY KEY, balance BIGINT NOT NULL)',
      `INSERT INTO {schema}.accounts (id, balance) SELECT n, ${INITIAL_BALANCE} ` +
        `FROM generate_series(1, ${accounts}) AS n`,
    ];
  }

  /** The changes of operation `op`: two accounts, the lower id first, so that no two transfers wait for each other. */
  changes(op) {
    const { accounts } = this.params;
    const own = draw(this.round.seed, BigInt(op));
    const source = drawBelow(own, 0, accounts);
    // Counted from the neighbour of the first account, so that the two always differ.
    const to = (source + 1 + drawBelow(own, 1, accounts - 1)) % accounts;
    const amount = 1 + drawBelow(own, 2, MOST_TRANSFERRED);
    return [[source, -amount], [to, amount]].sort(([one], [other]) => one - other);
  }

  async operate(client, op) {
    const changes = this.changes(op);
    const text = this.schema.qualify('UPDATE {schema}.accounts SET balance = balance + $1 WHERE id = $2');
    client.isInTransaction = true;
    try {
      await this.ask(client, 'BEGIN');
      for (const [account, change] of changes) {
        const { rowCount } = await this.ask(client, { name: 'change-balance', text, values: [change, account + 1] });
        if (rowCount !== 1) throw wrongContent(`UPDATE of account ${account + 1} changed ${rowCount} rows`);
      }
      await this.ask(client, 'COMMIT');
    } catch (error) {
      await client.query('ROLLBACK').catch(() => {});
      throw error;
    } finally {
      client.isInTransaction = false;
    }
    this.traffic.transactions += 1;
    for (const [account, change] of changes) this.balances[account] += change;
  }

  async finish({ failed }) {
    const text = this.schema.qualify('SELECT balance FROM {schema}.accounts ORDER BY id');
    const { rows } = await this.ask(this.keeper, text);
    await this.dropSchema();
    const balances = rows.map(({ balance }) => Number(balance));
    const sum = balances.reduce((total, balance) => total + balance, 0);
    const expected = balances.length * INITIAL_BALANCE;
    const found = sum === expected ? [] : [`expected a sum of ${expected} over all accounts, got ${sum}`];
    // A failed transfer may have been committed all the same.
    if (!failed && `${balances}` !== `${this.balances}`) found.push('the accounts are not as their transfers left them');
    return found;
  }
}

module.exports = {
  'db-select': DbSelect,
  'db-crud': DbCrud,
  'db-pool': DbPool,
  'db-connect': DbConnect,
  'db-transaction': DbTransaction,
};
