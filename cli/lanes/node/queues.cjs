// A bounded queue and a semaphore, which the standard library of Node lacks.
'use strict';

/** Lets a number of tasks through at once; the others wait in their order. */
class Semaphore {
  waiting = [];

  constructor(free) {
    this.free = free;
  }

  async acquire() {
    if (this.free > 0) {
      this.free -= 1;
      return;
    }
    await new Promise((resolve) => this.waiting.push(resolve));
  }

  release() {
    const next = this.waiting.shift();
    if (next) next();
    else this.free += 1;
  }

  async during(work) {
    await this.acquire();
    try {
      return await work();
    } finally {
      this.release();
    }
  }
}

/** A queue with a number of places. Iterating over it takes values until it has ended and is empty. */
class Queue {
  values = [];
  takers = [];
  hasEnded = false;

  constructor(capacity) {
    this.places = new Semaphore(capacity);
  }

  async put(value) {
    await this.places.acquire();
    const taker = this.takers.shift();
    if (taker) this.hand(taker, value);
    else this.values.push(value);
  }

  hand(taker, value) {
    this.places.release();
    taker({ value, done: false });
  }

  end() {
    this.hasEnded = true;
    for (const taker of this.takers) taker({ done: true });
  }

  async next() {
    if (this.values.length) {
      this.places.release();
      return { value: this.values.shift(), done: false };
    }
    if (this.hasEnded) return { done: true };
    return new Promise((resolve) => this.takers.push(resolve));
  }

  [Symbol.asyncIterator]() {
    return { next: () => this.next() };
  }
}

module.exports = { Queue, Semaphore };
