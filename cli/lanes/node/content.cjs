// The contents of the workloads: what is sent, what is expected, and how it is compared. Nothing here waits.
'use strict';

const fs = require('node:fs');
const path = require('node:path');
const { isDeepStrictEqual } = require('node:util');

const { Failure, GOLDEN, clock, drawBelow, u64, wrongContent } = require('./frame.cjs');

const UNITS = {
  GiB: 2 ** 30, MiB: 2 ** 20, KiB: 2 ** 10, GB: 1e9, MB: 1e6, KB: 1e3, kB: 1e3, B: 1, '': 1,
};

// Timers count whole milliseconds of a clock in milliseconds.
const TIMER_TOLERANCE_NS = 1_001_000;

/** The delay of a timer, in its whole milliseconds. */
function timerMs(ns) {
  return Math.ceil(ns / 1e6);
}

/** A size as parameters have it: `64KiB`. */
function sizeInBytes(text) {
  const [, number, unit] = String(text).match(/^(\d+)\s*(\w*)$/);
  return Number(number) * UNITS[unit];
}

const LARGEST_PART_BYTES = 2 ** 20;

/** The bytes of a known file from `offset` on: word i is (i + 1) × 0x9E3779B97F4A7C15, little endian. */
function knownBytes(size, offset = 0) {
  const words = new Uint32Array(Math.ceil(size / 8) * 2);
  const first = u64(BigInt(offset / 8 + 1) * GOLDEN);
  const [goldenLow, goldenHigh] = [Number(GOLDEN & 0xffffffffn), Number(GOLDEN >> 32n)];
  let [low, high] = [Number(first & 0xffffffffn), Number(first >> 32n)];
  for (let at = 0; at < words.length; at += 2) {
    words[at] = low;
    words[at + 1] = high;
    low += goldenLow;
    high = (high + goldenHigh + Math.floor(low / 2 ** 32)) % 2 ** 32;
    low %= 2 ** 32;
  }
  return Buffer.from(words.buffer, 0, size);
}

/** The path of a file of known bytes, made if it is missing. */
function knownPath(directory, size) {
  const known = path.join(directory, `known-${size}.bin`);
  if (fs.statSync(known, { throwIfNoEntry: false })?.size !== size) {
    fs.mkdirSync(directory, { recursive: true });
    const unfinished = path.join(directory, `known-${size}.${process.pid}.tmp`);
    const file = fs.openSync(unfinished, 'w');
    for (let offset = 0; offset < size; offset += LARGEST_PART_BYTES) {
      fs.writeFileSync(file, knownBytes(Math.min(size - offset, LARGEST_PART_BYTES), offset));
    }
    fs.fsyncSync(file);
    fs.closeSync(file);
    fs.renameSync(unfinished, known);
  }
  return known;
}

/** Path and contents of such a file. */
function knownFile(directory, size) {
  return { path: knownPath(directory, size), contents: knownBytes(size) };
}

function checkContents(got, { contents }) {
  if (got.length !== contents.length) throw wrongContent(`expected ${contents.length} bytes, got ${got.length}`);
  if (!contents.equals(got)) throw wrongContent('expected the bytes that were written, got others');
}

function exactly(expected, got, things) {
  if (!isDeepStrictEqual(expected, got)) {
    throw wrongContent(`expected ${JSON.stringify(expected)} ${things}, got ${JSON.stringify(got)}`);
  }
}

/** Throws if it took less than `waits` waits in a row may. */
function noShorter(leastNs, tookNs, thing, waits = 1) {
  if (tookNs + TIMER_TOLERANCE_NS * waits < leastNs) {
    throw wrongContent(`expected ${thing} to take at least ${leastNs} ns, took ${tookNs}`);
  }
}

/** The time since `due`, in ns. */
function checkDue(due) {
  const late = clock() - due;
  if (late < -TIMER_TOLERANCE_NS) throw wrongContent(`a wait ended ${-late} ns before it was due`);
  return Math.max(late, 0);
}

/** Throws unless `seen` has each number below `count` once. */
function eachOnce(seen, count, thing) {
  for (let number = 0; number < count; number += 1) {
    const times = seen.filter((it) => it === number).length;
    if (times !== 1) throw wrongContent(`expected ${thing} ${number} once, got it ${times} times`);
  }
}

/** A number that goes up and down, and its maximum. */
class Peak {
  now = 0;
  most = 0;

  async during(work) {
    this.now += 1;
    this.most = Math.max(this.most, this.now);
    try {
      return await work();
    } finally {
      this.now -= 1;
    }
  }

  atMost(limit, things) {
    if (this.most > limit) throw wrongContent(`expected at most ${limit} ${things} at once, got ${this.most}`);
  }
}

/** The expected status and content of a response. */
class Expectation {
  constructor(params) {
    const accepted = [params.status ?? '2xx'].flat().map(String);
    const isAccepted = (status) => accepted.some((text) => text === `${status}` || text === `${Math.floor(status / 100)}xx`);
    this.statuses = new Set(Array.from({ length: 500 }, (_, index) => 100 + index).filter(isAccepted));
    this.compares = (params.content ?? 'same') === 'same';
  }

  checkStatus(request, status) {
    if (!this.statuses.has(status)) throw new Failure('status', `${request} answered ${status}`);
  }

  check(request, { status, body }, expected) {
    this.checkStatus(request, status);
    if (this.compares && !body.equals(expected)) {
      throw wrongContent(`${request}: expected ${expected.length} bytes as before, got ${body.length} that differ`);
    }
  }
}

/** A document of `http-json`, decoded: the user first, then posts. */
function document(place, body) {
  let decoded;
  try {
    decoded = JSON.parse(body);
  } catch (error) {
    throw wrongContent(`the document cannot be decoded: ${error.message}`);
  }
  const { id, name, email, userId, title } = decoded;
  const wanted = place === 0 ? { id, name, email } : { user: userId, title };
  if (Object.values(wanted).includes(undefined)) throw wrongContent('the document lacks a field');
  return wanted;
}

/** The documents of `http-json`, as they were served before the measurement. */
class Documents {
  constructor(bodies, expectation) {
    this.expectation = expectation;
    this.served = bodies.map((body, place) => document(place, body));
    const [user, ...posts] = this.served;
    for (const post of posts) exactly(user.id, post.user, 'as the author of a post');
  }

  check(place, request, { status, body }) {
    this.expectation.checkStatus(request, status);
    const answered = document(place, body);
    if (this.expectation.compares) exactly(this.served[place], answered, `from ${request}`);
  }
}

/** A path that the mock `http` answers after this time. */
function delayedPath(ns) {
  return `/delay/${ns}ns`;
}

/** The deadline of `http-timeout`, and what must hold of an operation that ends at it, or too late for it. */
class Deadline {
  constructor({ params, round }) {
    this.ns = params.deadline_units * round.unitNs;
    this.answerNs = params.takes_units * round.unitNs;
    this.shielded = params.shielded ?? false;
  }

  /** A caller gives up at the deadline, and has an answer by then only if it woke late. */
  checkEnding(tookNs) {
    noShorter(this.ns, tookNs, 'a request with a deadline');
  }

  violations(totals, answered) {
    const found = [];
    const { succeeded, failed } = totals;
    if (this.shielded) {
      found.push(...totals.wrongRequests('http', 1));
    } else if (!failed && totals.connections.http < succeeded) {
      found.push(`expected a connection for each of ${succeeded} operations, got ${totals.connections.http}`);
    }
    if (succeeded >= 10 && answered * 2 > succeeded && this.answerNs > 2 * this.ns) {
      found.push(`${answered} of ${succeeded} operations got their answer long after the deadline`);
    }
    return found;
  }
}

/** Waits that double: 1, 2, 4 units, and so on up to a cap; and the attempts between them. */
class BackOff {
  constructor({ params, round }) {
    this.unitNs = round.unitNs;
    this.params = params;
    this.attempts = [];
  }

  beforeNs(attempt) {
    return this.unitNs * Math.min(2 ** (attempt - 2), this.params.cap_units);
  }

  /** Throws unless the server failed as often as it should, and each attempt waited for its turn. */
  check(status) {
    exactly(this.params.last_status ?? 200, status, 'as the last status');
    exactly(this.params.tries, this.attempts.length, 'attempts');
    for (let attempt = 2; attempt <= this.params.tries; attempt += 1) {
      const distance = this.attempts[attempt - 1].begun - this.attempts[attempt - 2].ended;
      noShorter(this.beforeNs(attempt), distance, `the wait before attempt ${attempt}`);
    }
  }
}

function wrongAttempts(totals, tries) {
  const least = totals.succeeded * tries;
  const most = least + totals.failed * tries;
  const { http } = totals.requests;
  if (http >= least && http <= most) return [];
  return [`expected ${least} to ${most} requests (${tries} attempts per operation), counted ${http}`];
}

/** The known bytes with the number of an operation in front. */
function marked(known, op) {
  const bytes = Buffer.from(known);
  const number = Buffer.alloc(8);
  number.writeBigUInt64LE(BigInt(op));
  number.copy(bytes);
  return bytes;
}

/** Lines of a file of `file-lines`: 20 to 99, drawn by its number. */
function linesOf(file) {
  return 20 + drawBelow(0n, file, 80);
}

/** The path of a directory of files, made if it is missing, and the number of their lines. */
function directoryOfLines(parent, files) {
  const directory = path.join(parent, `lines-${files}`);
  const numbers = Array.from({ length: files }, (_, file) => file);
  if (!fs.existsSync(directory)) {
    const unfinished = path.join(parent, `lines-${files}.${process.pid}.tmp`);
    fs.mkdirSync(unfinished, { recursive: true });
    for (const file of numbers) {
      const lines = Array.from({ length: linesOf(file) }, (_, number) => `line ${number} of file ${file}\n`);
      fs.writeFileSync(path.join(unfinished, `${file}.txt`), lines.join(''));
    }
    fs.renameSync(unfinished, directory);
  }
  return { directory, lines: numbers.reduce((sum, file) => sum + linesOf(file), 0) };
}

/** A task that wants to be woken at fixed times, and notes how late it was. */
class Bystander {
  worst = 0;

  constructor(round, start, periodNs, times) {
    this.round = round;
    this.dues = Array.from({ length: times }, (_, number) => start + periodNs * (number + 1));
  }

  woke(due) {
    const late = checkDue(due);
    this.round.observe('bystander_delay', late);
    this.worst = Math.max(this.worst, late);
  }

  done() {
    this.round.observe('stall', this.worst);
  }
}

/** The sum of the squares below `count`, computed over and over. */
function sumOfSquares(count, repeats) {
  let total = 0;
  for (let time = 0; time < repeats; time += 1) {
    total = 0;
    for (let number = 0; number < count; number += 1) total += number * number;
  }
  return total;
}

function checkSums(counts, sums) {
  exactly(counts.map((count) => ((count - 1) * count * (2 * count - 1)) / 6), sums, 'as sums');
}

module.exports = {
  BackOff,
  Bystander,
  Deadline,
  Documents,
  Expectation,
  Peak,
  checkContents,
  checkDue,
  checkSums,
  delayedPath,
  directoryOfLines,
  eachOnce,
  exactly,
  knownBytes,
  knownFile,
  knownPath,
  marked,
  noShorter,
  sizeInBytes,
  sumOfSquares,
  timerMs,
  wrongAttempts,
};
