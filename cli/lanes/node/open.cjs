// The measured phase of an open load: arrivals from the orchestrator's FIFO, each timed from when it was due.
//
// The loop reads the FIFO, and hands each arrival to the session that has waited longest.
'use strict';

const fs = require('node:fs');
const net = require('node:net');
const { setImmediate, setTimeout } = require('node:timers/promises');

const { Histogram, Phase, clock } = require('./frame.cjs');

const RECORD_BYTES = 16;

// Arrivals that wait here. Others wait in the FIFO, and behind it with the parent, so that memory stays flat.
const MOST_WAITING = 4096;

/** The arrivals, as they are read: the first record has the end of the schedule. */
class Arrivals {
  waiting = [];
  idle = [];
  part = Buffer.alloc(0);
  received = 0;
  isOver = false;

  constructor(path, leave) {
    this.leave = leave;
    // Waits for the parent's end. A socket reads without a thread of the pool.
    this.pipe = new net.Socket({ fd: fs.openSync(path, 'r'), readable: true, writable: false });
    this.schedule = new Promise((resolve, reject) => {
      this.begin = resolve;
      this.pipe.once('error', reject);
      this.pipe.once('end', () => reject(new Error('the FIFO of the arrivals ended before its first record')));
    });
    this.ended = new Promise((resolve) => this.pipe.once('end', resolve));
    this.ended.then(() => this.stop());
    this.pipe.on('data', (data) => this.read(data));
  }

  read(data) {
    const records = this.part.length ? Buffer.concat([this.part, data]) : data;
    let at = 0;
    for (; at + RECORD_BYTES <= records.length; at += RECORD_BYTES) {
      const number = Number(records.readBigUInt64LE(at));
      const time = Number(records.readBigUInt64LE(at + 8));
      if (number === 2 ** 64) this.begin(time);
      else this.arrive({ op: number, due: time });
    }
    this.part = records.subarray(at);
    if (this.waiting.length > MOST_WAITING) this.pipe.pause();
  }

  arrive(arrival) {
    this.received += 1;
    if (this.isOver) this.leave(arrival.due);
    else if (this.idle.length) this.idle.shift()(arrival);
    else this.waiting.push(arrival);
  }

  /** The next arrival; `undefined` if there are no more. */
  async take() {
    if (this.waiting.length) {
      if (this.pipe.isPaused() && this.waiting.length * 2 < MOST_WAITING) this.pipe.resume();
      return this.waiting.shift();
    }
    if (this.isOver) return undefined;
    return new Promise((resolve) => this.idle.push(resolve));
  }

  /** Sends sessions home when nothing waits any more. */
  stop() {
    this.isOver = true;
    for (const resolve of this.idle.splice(0)) resolve();
  }

  /** No more arrivals are started. Those in the FIFO are still read. */
  cut() {
    for (const { due } of this.waiting.splice(0)) this.leave(due);
    this.stop();
    this.pipe.resume();
  }
}

/** The arrivals of a schedule, which the parent process keeps, and what became of them. */
class OpenPhase extends Phase {
  response = new Histogram();
  lag = new Histogram();
  overdue = new Histogram();
  late = 0;
  inTime = 0;
  unsent = 0;
  unfinished = 0;
  // The due time of the arrival in flight, of each session that has one.
  inFlight = new Map();

  constructor(plan, sessions) {
    super({}, 0, sessions);
    this.plan = plan;
  }

  async runAll(operate, sessions) {
    const arrivals = new Arrivals(this.plan.arrivals, (due) => this.leave(due));
    this.arrivals = arrivals;
    this.end = await arrivals.schedule;
    // No arrival is started after `cut`, and none is waited for after `givenUp`.
    const cut = this.end + this.plan.drain_ns;
    const givenUp = cut + this.plan.drain_ns;
    const all = Promise.all(sessions.map((session, index) => this.session(operate, session, index)));
    if (!(await isDoneBy(all, cut))) {
      arrivals.cut();
      await isDoneBy(Promise.all([all, arrivals.ended]), givenUp);
    }
    this.giveUp();
  }

  async session(operate, session, index) {
    const tally = this.tallies[index];
    let turn = 0;
    for (let next = await this.arrivals.take(); next; next = await this.arrivals.take()) {
      this.inFlight.set(index, next.due);
      let failure = null;
      const start = clock();
      try {
        await operate(session, next.op);
      } catch (error) {
        failure = error;
      }
      const end = clock();
      // It may have been given up.
      if (!this.inFlight.delete(index)) return;
      tally.firstStart ||= start;
      tally.lastEnd = end;
      this.record(tally, { due: next.due, start, end }, failure);
      // With arrivals waiting, an operation that never waits would never return to the loop.
      turn += 1;
      if ((turn & 127) === 0) await setImmediate();
    }
  }

  record(tally, { due, start, end }, failure) {
    this.lag.record(start - due);
    this.late += start - due > this.plan.late_ns;
    this.inTime += start < this.end;
    if (failure) {
      this.fail(failure, end - start);
      return;
    }
    tally.succeeded += 1;
    this.service.record(end - start);
    this.response.record(end - due);
  }

  /** An arrival is not started any more. */
  leave(due) {
    this.unsent += 1;
    this.overdue.record(clock() - due);
  }

  /** Ends the phase. Operations that are still running do not count any more. */
  giveUp() {
    for (const due of this.inFlight.values()) {
      this.unfinished += 1;
      this.overdue.record(clock() - due);
    }
    this.inFlight.clear();
  }

  elapsedNs() {
    const ends = this.tallies.map((tally) => tally.lastEnd);
    return Math.max(this.end, ...ends) - (this.end - this.plan.schedule_ns);
  }

  throughput() {
    return (this.succeeded() * 1e9) / this.elapsedNs();
  }

  withoutSuccess() {
    return 0;
  }

  openLoad() {
    return {
      scheduled: this.arrivals.received,
      started_in_time: this.inTime,
      late: this.late,
      unfinished: this.unfinished,
      unsent: this.unsent,
      response: this.response.encoded(),
      lag: this.lag.encoded(),
      overdue: this.overdue.encoded(),
    };
  }
}

/** True if the promise was fulfilled by then. */
async function isDoneBy(promise, timeNs) {
  const timer = new AbortController();
  const late = setTimeout(Math.max((timeNs - clock()) / 1e6, 0), false, timer).catch(() => false);
  try {
    return await Promise.race([promise.then(() => true), late]);
  } finally {
    timer.abort();
  }
}

module.exports = { OpenPhase };
