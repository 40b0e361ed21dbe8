// The frame of the Node worker: the protocol, draws, histograms, phases and costs.
//
// A worker gets one line of JSON, the plan, on its standard input, measures one round, and answers with one line of JSON on its
// standard output (docs/PROTOCOL.md). The workloads, in files of their own, are what a round consists of. Nothing here but Node.
//
// All files are CommonJS: the loader of modules reads them on libuv's threads, whose number could not be set any more then.
'use strict';

const fs = require('node:fs');
const { createRequire } = require('node:module');
const path = require('node:path');
const { setImmediate } = require('node:timers/promises');
const zlib = require('node:zlib');

const PROTOCOL = 1;
const FIRST_WARMUP_OP = 2 ** 48;
const OVERHEAD_NS = 20_000_000;
const LONGEST_NS = 60_000_000_000;
const GOLDEN = 0x9e3779b97f4a7c15n;

/** CLOCK_MONOTONIC in ns. */
function clock() {
  return Number(process.hrtime.bigint());
}

/** A failed operation, of a kind that reports count. */
class Failure extends Error {
  constructor(kind, detail) {
    super(detail);
    this.kind = kind;
  }
}

/** This lane cannot run the plan here. */
class Unsupported extends Error {}

function wrongContent(detail) {
  return new Failure('wrong-content', detail);
}

const KINDS = {
  ECONNREFUSED: 'refused',
  ECONNRESET: 'reset',
  EPIPE: 'reset',
  ENOTFOUND: 'unknown-host',
  ETIMEDOUT: 'timeout',
  ABORT_ERR: 'timeout',
};

/** The kind of a failed operation. */
function kindOf(error) {
  const { kind, code, severity } = error;
  if (kind) return kind;
  // PostgreSQL's own errors have a severity.
  if (severity) return 'sql';
  if (String(code).startsWith('EAI_')) return 'unknown-host';
  return KINDS[code] ?? 'io';
}

// Draws: the same for operation N in every worker.

const u64 = (value) => BigInt.asUintN(64, value);

function mix(value) {
  value = u64(value + GOLDEN);
  value = u64((value ^ (value >> 30n)) * 0xbf58476d1ce4e5b9n);
  value = u64((value ^ (value >> 27n)) * 0x94d049bb133111ebn);
  return value ^ (value >> 31n);
}

/** A draw of 64 bits, as all of these BigInts. */
function draw(seed, index) {
  return mix(u64(mix(seed) + index * GOLDEN));
}

/** A draw below a number, as a number. */
function drawBelow(seed, index, bound) {
  return Number((draw(seed, BigInt(index)) * BigInt(bound)) >> 64n);
}

/** Counts of times in ns, in HdrHistogram's buckets of three significant digits up to 60 s. */
class Histogram {
  static BUCKETS = 25 * 1024 + 2048;

  constructor() {
    // Exact up to 2^53; integers of 32 bits would wrap.
    this.counts = new Float64Array(Histogram.BUCKETS);
  }

  record(ns) {
    const value = Math.min(Math.max(ns, 1), LONGEST_NS);
    const bits = value < 2 ** 32 ? 32 - Math.clz32(value) : 64 - Math.clz32(value / 2 ** 32);
    const shift = Math.max(bits - 11, 0);
    this.counts[shift * 1024 + Math.floor(value / 2 ** shift)] += 1;
  }

  /** The highest value of the bucket that holds this share of the values, in ns. */
  percentile(share) {
    const total = this.counts.reduce((sum, count) => sum + count, 0);
    const wanted = Math.max(1, Math.ceil(total * share));
    let seen = 0;
    for (const [index, count] of this.counts.entries()) {
      seen += count;
      if (count && seen >= wanted) {
        const shift = Math.max(Math.floor(index / 1024) - 1, 0);
        return (index - shift * 1024 + 1) * 2 ** shift - 1;
      }
    }
    return 0;
  }

  /** HdrHistogram V2, deflated, in base64. */
  encoded() {
    const payload = [];
    let zeros = 0;
    for (const count of this.counts) {
      if (!count) {
        zeros += 1;
        continue;
      }
      // A negative number stands for a run of zeros.
      if (zeros) zigzag(payload, zeros * 2 - 1);
      zeros = 0;
      zigzag(payload, count * 2);
    }
    const head = Buffer.alloc(40);
    head.writeUInt32BE(0x1c849313, 0);
    head.writeUInt32BE(payload.length, 4);
    head.writeUInt32BE(3, 12);
    head.writeBigUInt64BE(1n, 16);
    head.writeBigUInt64BE(BigInt(LONGEST_NS), 24);
    head.writeDoubleBE(1, 32);
    const packed = zlib.deflateSync(Buffer.concat([head, Buffer.from(payload)]));
    const frame = Buffer.alloc(8);
    frame.writeUInt32BE(0x1c849314, 0);
    frame.writeUInt32BE(packed.length, 4);
    return Buffer.concat([frame, packed]).toString('base64');
  }
}

/** Appends a number below 2^54, seven bits a byte. */
function zigzag(payload, value) {
  while (value >= 0x80) {
    payload.push((value % 0x80) + 0x80);
    value = Math.floor(value / 0x80);
  }
  payload.push(value);
}

/** Requests answered, connections opened and transactions ended, of one target. */
class Traffic {
  requests = 0;
  transactions = 0;
  connections = 0;
  abandoned = 0;
  abandoned_connections = 0;

  /** Connections begun, whether or not they were opened in time. */
  begun() {
    return this.connections + this.abandoned_connections;
  }
}

/** A target with a URL: the address to connect to, and the path of its URL if it has one. */
class Target {
  constructor(planned, scheme) {
    const [, found, authority, ownPath] = planned.url.match(/^([^:]*):\/\/([^/?#]*)([^#]*)/) ?? [];
    if (found !== scheme) {
      throw new Unsupported(`this lane speaks plain ${scheme.toUpperCase()} only, not ${found}`);
    }
    const address = String(planned.address ?? authority.split('@').at(-1));
    if (address.startsWith('unix:')) throw new Unsupported('this lane connects to TCP addresses only');
    const [, host, port] = address.match(/^\[?(.*?)\]?(?::(\d+))?$/);
    this.host = host;
    this.port = Number(port ?? 80);
    this.authority = authority.split('@').at(-1);
    this.ownPath = ownPath;
  }

  /** The path of a request for `path`: a path in the target's URL wins. */
  path(path) {
    return this.ownPath || path;
  }
}

/** What the workloads of a round need: the plan, the targets and their traffic, and what is observed. */
class Round {
  constructor(plan) {
    this.plan = plan;
    this.params = plan.params;
    this.seed = plan.seed;
    this.unitNs = plan.unit_ns;
    this.sessions = plan.load.concurrency;
    this.workDir = plan.work_dir;
    this.traffic = Object.fromEntries(Object.keys(plan.targets).map((name) => [name, new Traffic()]));
    this.facts = {};
    this.forget();
  }

  /** Begins a phase: what was observed in the last one does not count. */
  forget() {
    this.times = new Map();
    this.numbers = new Map();
  }

  planned(name) {
    const planned = this.plan.targets[name];
    if (!planned) throw new Unsupported(`the plan has no target \`${name}\``);
    return planned;
  }

  target(name, scheme) {
    return new Target(this.planned(name), scheme);
  }

  /** Records a time of the histogram `name`. */
  observe(name, ns) {
    if (!this.times.has(name)) this.times.set(name, new Histogram());
    this.times.get(name).record(ns);
  }

  /** Records a number whose mean is reported. */
  number(name, value) {
    const [total, count] = this.numbers.get(name) ?? [0, 0];
    this.numbers.set(name, [total + Number(value), count + 1]);
  }
}

/** What a round's operations came to, set against the traffic since its set-up. */
class Totals {
  constructor(round, before, phases) {
    const sum = (of) => phases.reduce((total, phase) => total + of(phase), 0);
    this.succeeded = sum((phase) => phase.succeeded());
    this.failed = sum((phase) => phase.failed());
    this.requests = {};
    this.connections = {};
    for (const [name, traffic] of Object.entries(round.traffic)) {
      this.requests[name] = traffic.requests - before[name].requests;
      this.connections[name] = traffic.begun() - before[name].begun;
    }
  }

  /** Violations unless each operation made `each` requests, beside `others` that belong to none. */
  wrongRequests(target, each, others = 0) {
    const counted = this.requests[target] - others;
    const expected = this.succeeded * each;
    if (this.failed || counted === expected) return [];
    return [`expected ${expected} requests to \`${target}\` (${this.succeeded} operations × ${each}), counted ${counted}`];
  }
}

/** A phase of closed load: numbers its operations, says when a session has done its part, and has the results. */
class Phase {
  // Operations in flight when the phase was given up.
  unfinished = 0;

  constructor(stop, firstOp, sessions) {
    this.stop = stop;
    this.firstOp = firstOp;
    this.sessions = sessions;
    // Sessions are tasks of one thread, and share it.
    this.service = new Histogram();
    this.failures = new Map();
    this.tallies = Array.from({ length: sessions }, () => ({ succeeded: 0, firstStart: 0, lastEnd: 0 }));
    this.start = clock();
    this.until = this.start + (stop.duration_ns ?? Infinity);
  }

  /** One session's part: two clock reads around each operation. */
  async run(operate, session, index) {
    const tally = this.tallies[index];
    let left = Infinity;
    if (this.stop.ops !== undefined) {
      left = Math.floor(this.stop.ops / this.sessions) + (index < this.stop.ops % this.sessions ? 1 : 0);
    }
    let end = 0;
    for (let turn = 0; turn < left && end < this.until; turn += 1) {
      let failure = null;
      const start = clock();
      try {
        await operate(session, this.firstOp + index + turn * this.sessions);
      } catch (error) {
        failure = error;
      }
      end = clock();
      tally.firstStart ||= start;
      tally.lastEnd = end;
      if (failure) {
        this.fail(failure, end - start);
      } else {
        this.service.record(end - start);
        tally.succeeded += 1;
      }
      // An operation that never waits never returns to the loop by itself.
      if ((turn & 127) === 127 && this.sessions > 1) await setImmediate();
    }
  }

  fail(error, ns) {
    const kind = kindOf(error);
    const known = this.failures.get(kind) ?? { count: 0, example: error.message || error.name, service: new Histogram() };
    known.count += 1;
    known.service.record(ns);
    this.failures.set(kind, known);
  }

  succeeded() {
    return this.tallies.reduce((sum, tally) => sum + tally.succeeded, 0);
  }

  failed() {
    return [...this.failures.values()].reduce((sum, failures) => sum + failures.count, 0);
  }

  ran() {
    return this.tallies.filter((tally) => tally.lastEnd);
  }

  /** Sessions without a success. */
  withoutSuccess() {
    return this.tallies.filter((tally) => !tally.succeeded).length;
  }

  /** The numbers of an open load. */
  openLoad() {
    return null;
  }

  elapsedNs() {
    const ran = this.ran();
    if (!ran.length) return 0;
    return Math.max(...ran.map((tally) => tally.lastEnd)) - Math.min(...ran.map((tally) => tally.firstStart));
  }

  /** Operations per second: those of each session over the time from the phase's start to its own last end, summed. */
  throughput() {
    const ran = this.ran();
    const start = Math.min(...ran.map((tally) => tally.firstStart));
    return ran.reduce((sum, { succeeded, lastEnd }) => sum + (succeeded && (succeeded * 1e9) / (lastEnd - start)), 0);
  }
}

/** The cost of the measured phase to this process. */
class Cost {
  before = process.resourceUsage();

  since() {
    const now = process.resourceUsage();
    const spent = (name) => now[name] - this.before[name];
    return {
      cpu_user_ns: spent('userCPUTime') * 1000,
      cpu_system_ns: spent('systemCPUTime') * 1000,
      voluntary_switches: spent('voluntaryContextSwitches'),
      involuntary_switches: spent('involuntaryContextSwitches'),
      minor_faults: spent('minorPageFault'),
      major_faults: spent('majorPageFault'),
      peak_rss_bytes: peakRssBytes(),
      threads: fs.readdirSync('/proc/self/task').length,
    };
  }
}

/** Peak resident memory since Node began; that of getrusage includes the program before it. */
function peakRssBytes() {
  const [, kib] = fs.readFileSync('/proc/self/status', 'utf8').match(/^VmHWM:\s+(\d+)/m) ?? [];
  return kib === undefined ? null : Number(kib) * 1024;
}

/** A workload of one round; `operate` gets what `open` returns. */
class Workload {
  // Packages that it needs beyond Node.
  static packages = [];
  // Calls that run on libuv's threads at once, for each session.
  threadCalls = 0;

  constructor(round) {
    this.round = round;
    this.params = round.params;
  }

  /** Runs before libuv starts its threads: blocking calls for files. */
  async prepare() {}

  async open(_index) {}

  async operate(_session, _op) {}

  async close(_session) {}

  violations(_totals) {
    return [];
  }

  /** Violations that only the end of the round shows. */
  async finish(_totals) {
    return [];
  }

  /** After a failure. */
  async abandon() {}
}

/** Their results in order, or the first error. All are awaited even if one fails, so that nothing keeps running. */
async function gathered(promises) {
  const outcomes = await Promise.allSettled(promises);
  const failed = outcomes.find((outcome) => outcome.status === 'rejected');
  if (failed) throw failed.reason;
  return outcomes.map((outcome) => outcome.value);
}

/** libuv has four threads unless told otherwise before it starts them, whatever the number of sessions. */
function sizeThreadPool(round, workload) {
  const threads = Math.min(Math.max(round.sessions * workload.threadCalls, 4), 1024);
  process.env.UV_THREADPOOL_SIZE = String(threads);
  if (workload.threadCalls) round.facts.thread_pool = String(threads);
}

/** One round: set-up, warm-up, overhead, measurement, checks. */
async function run(lane, workload, round) {
  await workload.prepare();
  sizeThreadPool(round, workload);
  const opened = [];
  for (let index = 0; index < round.sessions; index += 1) opened.push(await workload.open(index));
  const traffic = Object.entries(round.traffic);
  const before = Object.fromEntries(traffic.map(([name, it]) => [name, { requests: it.requests, begun: it.begun() }]));

  const phase = async (stop, firstOp, operate) => {
    const part = new Phase(stop, firstOp, round.sessions);
    await Promise.all(opened.map((session, index) => part.run(operate, session, index)));
    return part;
  };
  const operate = (session, op) => workload.operate(session, op);

  const warmup = await phase(round.plan.warmup, FIRST_WARMUP_OP, operate);
  const overhead = await phase({ duration_ns: OVERHEAD_NS }, 0, async () => {});
  round.forget();
  const cost = new Cost();
  let measured;
  if (round.plan.arrivals) {
    measured = new lane.OpenPhase(round.plan, round.sessions);
    await measured.runAll(operate, opened);
  } else {
    measured = await phase(round.plan.stop, 0, operate);
  }
  const spent = cost.since();
  // Sessions are still in operations that were given up: nothing can be closed or checked.
  if (measured.unfinished) return measurement(round, { warmup, overhead, measured }, spent, []);
  for (const session of opened) await workload.close(session);
  const totals = new Totals(round, before, [warmup, measured]);
  const violations = [...workload.violations(totals), ...(await workload.finish(totals))];
  return measurement(round, { warmup, overhead, measured }, spent, violations);
}

function measurement(round, { warmup, overhead, measured }, cost, violations) {
  const errors = [...measured.failures].map(([kind, { count, example, service }]) => [
    kind,
    { count, example, service: service.encoded() },
  ]);
  return {
    sessions: round.sessions,
    worker_threads: 1,
    runtime_facts: { ...facts(), ...round.facts },
    ops: measured.succeeded(),
    warmup_ops: warmup.succeeded() + warmup.failed(),
    warmup_errors: Object.fromEntries([...warmup.failures].map(([kind, { count }]) => [kind, count])),
    elapsed_ns: measured.elapsedNs(),
    session_ns: measured.ran().reduce((sum, tally) => sum + tally.lastEnd - tally.firstStart, 0),
    throughput_ops_s: measured.throughput(),
    sessions_without_success: measured.withoutSuccess(),
    service: measured.service.encoded(),
    open: measured.openLoad(),
    overhead: {
      ops: overhead.succeeded(),
      throughput_ops_s: overhead.throughput(),
      service_p50_ns: overhead.service.percentile(0.5),
      service_p99_ns: overhead.service.percentile(0.99),
    },
    observed: Object.fromEntries([...round.times].map(([name, histogram]) => [name, histogram.encoded()])),
    gauges: Object.fromEntries([...round.numbers].map(([name, [total, count]]) => [name, total / count])),
    errors: Object.fromEntries(errors),
    traffic: round.traffic,
    cost,
    violations,
  };
}

/** The interpreter, for the record. */
function facts() {
  return {
    interpreter: `Node.js ${process.versions.node}`,
    executable: process.execPath,
    timers: 'in milliseconds, rounded up; a wait may end 1 ms early',
  };
}

let modules;

/** Finds packages in the directory `node_modules` that was given, or where Node looks for them by itself. */
function packages() {
  modules ??= createRequire(givenModules() ? path.join(givenModules(), 'worker.cjs') : __filename);
  return modules;
}

function givenModules() {
  const option = process.argv.find((argument) => argument.startsWith('--modules='));
  return option && path.resolve(option.slice('--modules='.length));
}

/** The version of a package; `undefined` if it is not there. */
function version(name) {
  try {
    return packages()(`${name}/package.json`).version;
  } catch {
    return undefined;
  }
}

function missing(workload) {
  return workload.packages.find((name) => version(name) === undefined);
}

function describe(lane) {
  const workloads = Object.entries(lane.workloads).sort(([one], [other]) => (one < other ? -1 : 1));
  const { node, v8, uv } = process.versions;
  const versions = { node, v8, libuv: uv };
  for (const name of new Set(workloads.flatMap(([, workload]) => workload.packages))) versions[name] = version(name);
  const lacking = workloads.filter(([, workload]) => missing(workload));
  const cannot = lacking.map(([name, workload]) => [
    name,
    `Node has no package ${missing(workload)} here; \`photofinish setup node\` installs it`,
  ]);
  const described = {
    name: lane.name,
    family: lane.family,
    stack: 'Node',
    summary: lane.summary,
    workloads: workloads.filter(([, workload]) => !missing(workload)).map(([name]) => name),
    cannot: Object.fromEntries(cannot),
    open_load: true,
    // V8 compiles code again as it gets hot, which takes seconds under some loads.
    min_warmup_ns: 3_000_000_000,
    versions,
  };
  return { protocol: PROTOCOL, lanes: [described] };
}

async function work(lane, plan) {
  if (plan.protocol !== PROTOCOL) {
    return { status: 'failed', reason: `expected a plan of protocol ${PROTOCOL}, got ${plan.protocol}` };
  }
  const unsupported = (reason) => ({ status: 'unsupported', reason });
  const workload = lane.workloads[plan.workload];
  if (!workload || missing(workload)) return unsupported(`${lane.name} has no workload \`${plan.workload}\``);
  if (plan.shard) return unsupported(`${lane.name} has no shares of a load`);
  if (plan.load.model === 'open' && !plan.arrivals) return unsupported(`${lane.name} does not pace arrivals by itself`);
  let running;
  try {
    const round = new Round(plan);
    running = new workload(round);
    return { status: 'ok', measurement: await run(lane, running, round) };
  } catch (error) {
    await running?.abandon();
    if (error instanceof Unsupported) return unsupported(error.message);
    const status = kindOf(error) === 'wrong-content' ? 'wrong' : 'failed';
    return { status, reason: `setting up failed: ${error.message || error.name}` };
  }
}

/** A line of the parent's, which need not have closed its end. */
async function firstLine(stream) {
  let text = '';
  for await (const part of stream.setEncoding('utf8')) {
    text += part;
    if (part.includes('\n')) break;
  }
  return text.split('\n')[0];
}

/** The plan. Its seed has 64 bits, more than a number holds. */
function parsed(line) {
  const plan = JSON.parse(line);
  const seeds = [...line.matchAll(/"seed":\s*(\d+)/g)].map(([, digits]) => digits);
  plan.seed = BigInt(seeds.find((digits) => Number(digits) === plan.seed) ?? 0);
  return plan;
}

async function main(lane) {
  // Libraries may print: the only line on the worker's own standard output is the reply.
  console.log = console.error;
  const [action] = process.argv.slice(2).filter((argument) => !argument.startsWith('--'));
  let reply;
  if (action === 'describe') {
    reply = describe(lane);
  } else if (action === 'worker') {
    reply = { protocol: PROTOCOL, ...(await work(lane, parsed(await firstLine(process.stdin)))) };
  } else {
    process.stderr.write(`usage: ${process.argv[1]} describe|worker\n`);
    process.exit(2);
  }
  // What a workload may have left open must not keep the process.
  process.stdout.write(`${JSON.stringify(reply)}\n`, () => process.exit(0));
}

module.exports = {
  Failure,
  GOLDEN,
  Histogram,
  Phase,
  Traffic,
  Unsupported,
  Workload,
  clock,
  draw,
  drawBelow,
  gathered,
  kindOf,
  main,
  packages,
  u64,
  wrongContent,
};
