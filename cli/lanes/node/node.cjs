// The lane `node`: a task per session on the event loop of Node.
//
// HTTP is node:http with an agent that keeps connections, files are fs/promises, computations go to worker_threads; databases and
// WebSockets need the packages pg and ws.
'use strict';

const { main } = require('./frame.cjs');
const { OpenPhase } = require('./open.cjs');

const NAME = 'node';

main({
  name: NAME,
  family: 'async',
  summary: 'Node.js: a task per session on the event loop (node:http, fs/promises, pg, ws)',
  OpenPhase,
  workloads: {
    ...require('./tasks.cjs'),
    ...require('./http.cjs').workloads,
    ...require('./site.cjs'),
    ...require('./files.cjs'),
    ...require('./db.cjs'),
    ...require('./ws.cjs'),
  },
});
