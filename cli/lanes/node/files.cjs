// Workloads with files, with fs/promises: each call goes to one of libuv's threads.
'use strict';

const syncFs = require('node:fs');
const fs = require('node:fs/promises');
const path = require('node:path');
const { setTimeout } = require('node:timers/promises');

const { Workload, clock, drawBelow, gathered, wrongContent } = require('./frame.cjs');
const content = require('./content.cjs');
const { Semaphore } = require('./queues.cjs');

class FileRead extends Workload {
  threadCalls = 1;

  async prepare() {
    this.file = content.knownFile(this.round.workDir, content.sizeInBytes(this.params.size));
  }

  async operate() {
    content.checkContents(await fs.readFile(this.file.path), this.file);
  }
}

/** A block at a drawn offset of an open file. */
class FileRandom extends Workload {
  threadCalls = 1;

  async prepare() {
    this.block = content.sizeInBytes(this.params.block);
    this.size = content.sizeInBytes(this.params.file_size);
    this.path = content.knownPath(this.round.workDir, this.size);
  }

  async open() {
    return { file: await fs.open(this.path), block: Buffer.alloc(this.block) };
  }

  async close({ file }) {
    await file.close();
  }

  async operate({ file, block }, op) {
    const offset = drawBelow(this.round.seed, op, Math.floor(this.size / this.block)) * this.block;
    // The result of the previous read must not pass for that of this one.
    block.fill(0);
    const { bytesRead } = await file.read(block, 0, this.block, offset);
    content.exactly(this.block, bytesRead, 'bytes of a block');
    if (!block.equals(content.knownBytes(this.block, offset))) {
      throw wrongContent(`the ${this.block} bytes at offset ${offset} are wrong`);
    }
  }
}

class FileWrite extends Workload {
  threadCalls = 1;

  async prepare() {
    this.bytes = content.knownBytes(content.sizeInBytes(this.params.size));
    syncFs.mkdirSync(this.round.workDir, { recursive: true });
  }

  async open(index) {
    return path.join(this.round.workDir, `written-${index}.bin`);
  }

  async close(file) {
    await fs.rm(file, { force: true });
  }

  async operate(file, op) {
    // Each operation writes other bytes, so that older ones are found out.
    const written = content.marked(this.bytes, op);
    const open = await fs.open(file, 'w');
    try {
      await open.writeFile(written);
      if (this.params.sync ?? true) await open.sync();
    } finally {
      await open.close();
    }
    if (!written.equals(await fs.readFile(file))) throw wrongContent('what was read back is not what was written');
  }
}

class FileLines extends Workload {
  async prepare() {
    this.threadCalls = this.params.limit;
    Object.assign(this, content.directoryOfLines(this.round.workDir, this.params.files));
  }

  async operate() {
    const semaphore = new Semaphore(this.params.limit);
    const reading = new content.Peak();
    const countLines = async (name) => {
      const text = await fs.readFile(path.join(this.directory, name), 'utf8');
      return text.split('\n').length - 1;
    };
    const names = await fs.readdir(this.directory);
    const counts = await gathered(names.map((name) => semaphore.during(() => reading.during(() => countLines(name)))));
    this.round.number('files_at_once', reading.most);
    content.exactly(this.params.files, counts.length, 'files');
    content.exactly(this.lines, counts.reduce((sum, count) => sum + count, 0), 'lines in all files');
    reading.atMost(this.params.limit, 'files');
  }
}

/** Three files at once, each read and followed by a wait that stands for processing. */
class FileProcess extends Workload {
  threadCalls = 3;

  async prepare() {
    const size = content.sizeInBytes(this.params.size);
    this.files = [0, 1, 2].map((longer) => content.knownFile(this.round.workDir, size + longer));
  }

  async operate() {
    await gathered(this.files.map((file) => this.process(file)));
  }

  async process(file) {
    const entered = clock();
    const contents = await fs.readFile(file.path);
    await setTimeout(content.timerMs(this.round.unitNs));
    const lasted = clock() - entered;
    this.round.observe('file_scope', lasted);
    content.checkContents(contents, file);
    content.noShorter(this.round.unitNs, lasted, 'the scope of a file');
  }
}

module.exports = {
  'file-read': FileRead,
  'file-random': FileRandom,
  'file-write': FileWrite,
  'file-lines': FileLines,
  'file-process': FileProcess,
};
