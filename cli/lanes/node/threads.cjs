// A pool of worker threads: this file is the program of each thread as well.
'use strict';

const { once } = require('node:events');
const { Worker, isMainThread, parentPort } = require('node:worker_threads');

const { sumOfSquares } = require('./content.cjs');

const TASKS = {
  sumOfSquares,
  block: (ms) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms),
};

class ThreadPool {
  waiting = [];

  constructor(size) {
    this.workers = Array.from({ length: size }, () => new Worker(__filename));
    this.idle = [...this.workers];
    for (const worker of this.workers) worker.setMaxListeners(0);
  }

  async ready() {
    await Promise.all(this.workers.map((worker) => once(worker, 'online')));
  }

  /** The result of a task on a thread, as soon as one is free. */
  async call(task, ...parameters) {
    const worker = this.idle.pop() ?? (await new Promise((resolve) => this.waiting.push(resolve)));
    try {
      const answered = once(worker, 'message');
      worker.postMessage({ task, parameters });
      const [result] = await answered;
      return result;
    } finally {
      const next = this.waiting.shift();
      if (next) next(worker);
      else this.idle.push(worker);
    }
  }

  async close() {
    await Promise.all(this.workers.map((worker) => worker.terminate()));
  }
}

if (!isMainThread) {
  parentPort.on('message', ({ task, parameters }) => parentPort.postMessage(TASKS[task](...parameters)));
}

module.exports = { ThreadPool };
