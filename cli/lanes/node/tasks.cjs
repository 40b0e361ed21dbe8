// Workloads of tasks, queues, computations and child processes.
'use strict';

const { spawn } = require('node:child_process');
const { once } = require('node:events');
const os = require('node:os');
const { setImmediate, setTimeout } = require('node:timers/promises');

const { Unsupported, Workload, clock, drawBelow, gathered, wrongContent } = require('./frame.cjs');
const { Bystander, Peak, checkDue, checkSums, eachOnce, exactly, noShorter, sumOfSquares, timerMs } = require('./content.cjs');
const { Queue, Semaphore } = require('./queues.cjs');
const { ThreadPool } = require('./threads.cjs');

/** The time that a wait took. */
async function wait(ns) {
  const begun = clock();
  await setTimeout(timerMs(ns));
  return clock() - begun;
}

/** The waits of `tasks` and `as-completed`. */
function waitsNs({ params, round }) {
  return params.waits.map((units) => Math.round(units * round.unitNs));
}

function numbers(count) {
  return Array.from({ length: count }, (_, number) => number);
}

class Null extends Workload {}

/** Busy for a time that is drawn, then for a number of steps. */
class Scripted extends Workload {
  async prepare() {
    if (this.params.parts.length) throw new Unsupported('this lane has no parts of operations');
    let sum = 0;
    this.times = this.params.times.map(({ share, time_us }) => ({ upTo: (sum += share), ns: Math.floor(time_us * 1e3) }));
  }

  async operate(_session, op) {
    if (this.times.length) {
      const uniform = drawBelow(this.round.seed, op, 2 ** 53) / 2 ** 53;
      const { ns } = this.times.find(({ upTo }) => uniform < upTo) ?? this.times.at(-1);
      const due = clock() + ns;
      while (clock() < due);
    }
    let state = op | 0;
    for (let step = 0; step < this.params.work; step += 1) {
      state = Math.imul(state, 0x9e3779b1);
      state = (state << 13) | (state >>> 19);
    }
    this.state = state;
  }
}

class Spawn extends Workload {
  async operate(_session, op) {
    const task = async () => op;
    exactly(op, await task(), 'as the result of a task');
  }
}

class Tasks extends Workload {
  async operate() {
    const waits = waitsNs(this);
    let lasted = [];
    if (this.params.at_once ?? true) {
      lasted = await Promise.all(waits.map(wait));
    } else {
      for (const ns of waits) lasted.push(await wait(ns));
    }
    for (const [index, ns] of waits.entries()) noShorter(ns, lasted[index], 'a wait');
  }
}

class Timers extends Workload {
  async operate(_session, op) {
    const { shortest_us, longest_us } = this.params;
    const ns = shortest_us * 1000 + drawBelow(this.round.seed, op, (longest_us - shortest_us) * 1000 + 1);
    const due = clock() + ns;
    await setTimeout(timerMs(ns));
    this.round.observe('timer_overshoot', checkDue(due));
  }
}

class AsCompleted extends Workload {
  async operate() {
    const waits = waitsNs(this);
    const begun = clock();
    const came = [];
    // A promise has no order of completion: what is to be done with a result is attached to it.
    await gathered(
      waits.map(async (ns, number) => {
        noShorter(ns, await wait(ns), 'a wait');
        came.push(number);
      }),
    );
    eachOnce(came, waits.length, 'result');
    const order = came.map((number) => waits[number]);
    this.round.number('shortest_first', order.every((ns, place) => place === 0 || order[place - 1] <= ns));
    noShorter(Math.max(...waits), clock() - begun, 'all tasks together');
  }
}

/** A promise cannot be cancelled, but what it waits for can: timers take a signal. */
class FirstCompleted extends Workload {
  cancelled = 0;

  async operate() {
    const cleanedUp = new Set();
    const finished = new Set();
    const controllers = numbers(2).map(() => new AbortController());
    const race = async (number) => {
      try {
        await setTimeout(timerMs(this.round.unitNs * (number + 1)), undefined, controllers[number]);
        finished.add(number);
      } finally {
        cleanedUp.add(number);
      }
    };
    const begun = clock();
    const racers = numbers(2).map(race);
    await Promise.race(racers);
    noShorter(this.round.unitNs, clock() - begun, 'the race');
    const losers = numbers(2).filter((number) => !finished.has(number));
    for (const loser of losers) controllers[loser].abort();
    const outcomes = await Promise.allSettled(losers.map((loser) => racers[loser]));
    const cancelled = outcomes.filter(({ reason }) => reason?.name === 'AbortError').length;
    exactly(2, cleanedUp.size, 'racers that have cleaned up');
    exactly(losers.length, cancelled, 'cancelled losers');
    this.cancelled += cancelled;
    this.round.number('losers_cancelled', cancelled);
  }

  violations(totals) {
    if (totals.succeeded < 10 || this.cancelled) return [];
    return [`in none of ${totals.succeeded} operations the loser was cancelled`];
  }
}

class Failures extends Workload {
  async operate() {
    const message = 'task 1 failed on purpose';
    const work = async (number) => {
      await wait(this.round.unitNs);
      if (number === 1) throw new Error(message);
      return number;
    };
    const begun = clock();
    const outcomes = await Promise.allSettled(numbers(3).map(work));
    exactly([0, message, 2], outcomes.map(({ value, reason }) => reason?.message ?? value), 'as outcomes');
    noShorter(this.round.unitNs, clock() - begun, 'all tasks together');
  }
}

/** Three counters that tick three times, a unit apart, into one log. */
class Counters extends Workload {
  async operate() {
    const ticks = [];
    const count = async (counter) => {
      let begun = clock();
      for (const number of [1, 2, 3]) {
        await setTimeout(timerMs(this.round.unitNs));
        const written = clock();
        ticks.push({ counter, number, begun, written });
        begun = written;
      }
    };
    await gathered(numbers(3).map(count));
    this.check(ticks);
  }

  check(ticks) {
    const unit = this.round.unitNs;
    const order = ticks.map(({ number }) => number);
    const isInterleaved = order.every((number, place) => place === 0 || order[place - 1] <= number);
    this.round.number('interleaved', isInterleaved);
    exactly(9, ticks.length, 'ticks');
    for (const counter of numbers(3)) {
      const own = ticks.filter((tick) => tick.counter === counter);
      exactly([1, 2, 3], own.map(({ number }) => number), `of counter ${counter}`);
    }
    for (const { begun, written } of ticks) noShorter(unit, written - begun, 'a tick');
    // They must be if all had started before the first tick was due, and none was late by a unit.
    const begins = ticks.filter(({ number }) => number === 1).map(({ begun }) => begun);
    const first = Math.min(...begins);
    const inTime = ticks.every(({ number, written }) => written < first + unit * (number + 1));
    if (!isInterleaved && inTime && Math.max(...begins) < first + unit) {
      throw wrongContent(`the ticks of counters that ran at once were ${order}`);
    }
  }
}

class Batch extends Workload {
  async operate() {
    const { items, size } = this.params;
    const running = new Peak();
    const done = [];
    const work = (item) =>
      running.during(async () => {
        await wait(this.round.unitNs);
        done.push(item);
      });
    for (let first = 0; first < items; first += size) {
      const batch = numbers(items).slice(first, first + size);
      const begun = clock();
      await gathered(batch.map(work));
      exactly(0, running.now, 'items in progress between two batches');
      exactly(first + batch.length, done.length, 'items done at the end of a batch');
      noShorter(this.round.unitNs, clock() - begun, 'a batch');
    }
    this.round.number('items_at_once', running.most);
    eachOnce(done, items, 'item');
    running.atMost(size, 'items');
  }
}

/** Producers and consumers around a queue with few places, and a semaphore around the work. */
class JobQueue extends Workload {
  async operate() {
    const { producers, consumers, capacity, jobs, limit, work } = this.params;
    const workNs = Math.round(work * this.round.unitNs);
    const queue = new Queue(capacity);
    const semaphore = new Semaphore(limit);
    const running = new Peak();
    const unfinished = new Peak();
    const done = [];
    const begun = clock();

    const produce = async (producer) => {
      for (const number of numbers(jobs)) {
        const before = clock();
        await queue.put(producer * jobs + number);
        unfinished.now += 1;
        unfinished.most = Math.max(unfinished.most, unfinished.now);
        this.round.observe('queue_send', clock() - before);
      }
    };
    const consume = async () => {
      for await (const number of queue) {
        await semaphore.during(async () => {
          await running.during(async () => noShorter(workNs, await wait(workNs), 'a job'));
          done.push(number);
          unfinished.now -= 1;
        });
      }
    };
    const consuming = gathered(numbers(consumers).map(consume));
    await gathered(numbers(producers).map(produce));
    queue.end();
    await consuming;

    const count = producers * jobs;
    this.round.number('jobs_at_once', running.most);
    this.round.number('jobs_taken_on', unfinished.most);
    eachOnce(done, count, 'job');
    running.atMost(limit, 'jobs');
    // An unfinished job is in the queue or with a consumer: the others had to wait.
    unfinished.atMost(capacity + consumers, 'unfinished jobs');
    const turns = Math.ceil(count / limit);
    noShorter(turns * workNs, clock() - begun, 'all jobs together', turns);
  }
}

async function standBy(bystander) {
  for (const due of bystander.dues) {
    await setTimeout(timerMs(Math.max(due - clock(), 0)));
    bystander.woke(due);
  }
  bystander.done();
}

/** A workload with threads of its own: as many as this process has CPUs. */
class Threaded extends Workload {
  async prepare() {
    const size = os.availableParallelism();
    this.threads = new ThreadPool(size);
    this.round.facts.worker_threads = String(size);
    await this.threads.ready();
  }

  async finish() {
    await this.threads.close();
    return [];
  }
}

/** Sums of squares on worker threads, or on the loop itself, while another task wants to be woken. */
class CpuOffload extends Threaded {
  async prepare() {
    // The formula of the sum is exact below.
    if (Math.max(...this.params.squares) > 160_000) {
      throw new Unsupported('sums of more than 160,000 squares need more than 53 bits');
    }
    await super.prepare();
  }

  async operate() {
    const { squares, repeats, offload } = this.params;
    const add = async (count) =>
      offload ?? true ? this.threads.call('sumOfSquares', count, repeats) : sumOfSquares(count, repeats);
    const bystander = new Bystander(this.round, clock(), 1_000_000, 5);
    const [sums] = await gathered([gathered(squares.map(add)), standBy(bystander)]);
    checkSums(squares, sums);
  }
}

class BlockingMistake extends Threaded {
  async operate() {
    const { unitNs } = this.round;
    const start = clock();
    const due = start + unitNs;
    const waitUntil = async () => {
      const left = timerMs(Math.max(due - clock(), 0));
      // Atomics.wait is how a program blocks its thread for a time.
      if (this.params.how === 'blocking') {
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, left);
      } else if (this.params.how === 'offloaded') {
        await this.threads.call('block', left);
      } else {
        await setTimeout(left);
      }
      checkDue(due);
    };
    await gathered([waitUntil(), standBy(new Bystander(this.round, start, Math.floor(unitNs / 10), 10))]);
  }
}

/** Async functions whose promises nobody awaits, and such that are awaited. */
class ForgottenAwait extends Workload {
  done = 0;

  async prepare() {
    if (this.params.handling === 'forgotten') {
      throw new Unsupported(
        'an async function of JavaScript runs from its call on, awaited or not; `forgotten-join` measures that',
      );
    }
  }

  async operate() {
    let own = 0;
    const part = async () => {
      await setImmediate();
      own += 1;
      this.done += 1;
    };
    const promises = numbers(this.params.parts).map(part);
    if (this.params.handling === 'joined') {
      await gathered(promises);
      exactly(this.params.parts, own, 'parts done');
    }
    this.round.number('done_when_ended_share', own / this.params.parts);
  }

  async finish({ succeeded, failed }) {
    // What nobody awaits ends in one of the next turns of the loop.
    for (let turn = 0; turn < 3; turn += 1) await setImmediate();
    const expected = (succeeded + failed) * this.params.parts;
    return this.done === expected ? [] : [`expected ${expected} parts done at the end, got ${this.done}`];
  }
}

/** Two children: one that ends by itself, and one that would live for an hour. */
class Process extends Workload {
  async operate(_session, op) {
    await gathered([this.talk(op), this.kill()]);
  }

  async talk(op) {
    const child = spawn('/bin/sh', ['-c', 'echo "operation $0"; exit 7', String(op)], { stdio: ['ignore', 'pipe', 'inherit'] });
    const ended = once(child, 'close');
    child.stdout.setEncoding('utf8');
    let said = '';
    for await (const text of child.stdout) said += text;
    const [status] = await ended;
    exactly(`operation ${op}\n`, said, 'from the child');
    exactly(7, status, "as the child's exit status");
    checkGone(child.pid);
  }

  async kill() {
    const deadlineNs = Math.round(this.params.deadline * this.round.unitNs);
    const child = spawn('sleep', ['3600'], { stdio: 'ignore' });
    const ended = once(child, 'close');
    try {
      noShorter(deadlineNs, await wait(deadlineNs), 'the life of a child to be killed');
    } finally {
      child.kill('SIGKILL');
    }
    const [, signal] = await ended;
    exactly('SIGKILL', signal, 'as the end of a killed child');
    checkGone(child.pid);
  }
}

/** Throws if the child was not waited for: it would be there, as a zombie. */
function checkGone(pid) {
  try {
    process.kill(pid, 0);
  } catch {
    return;
  }
  throw wrongContent(`the child ${pid} was left behind`);
}

module.exports = {
  null: Null,
  scripted: Scripted,
  spawn: Spawn,
  tasks: Tasks,
  timers: Timers,
  'as-completed': AsCompleted,
  'first-completed': FirstCompleted,
  failures: Failures,
  counters: Counters,
  batch: Batch,
  'job-queue': JobQueue,
  'cpu-offload': CpuOffload,
  'blocking-mistake': BlockingMistake,
  'forgotten-await': ForgottenAwait,
  process: Process,
};
