"""Sessions under an event loop with an open load: the loop reads the FIFO, and hands each arrival to the task that has waited
longest.
"""

import asyncio
import collections
import os

from frame import clock

# Arrivals that wait here. Others wait in the FIFO, and behind it with the parent, so that memory stays flat.
MOST_WAITING = 4096


class Arrivals(asyncio.Protocol):
    """The arrivals of a phase, as the loop reads them."""

    def __init__(self, phase):
        self.phase = phase
        self.waiting = collections.deque()
        self.idle = collections.deque()
        self.loop = asyncio.get_running_loop()
        self.ended = self.loop.create_future()
        self.is_cut = False
        self.is_paused = False

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        for number, due in self.phase.arrivals(data):
            if self.is_cut:
                self.phase.leave(due)
            elif self.idle:
                self.idle.popleft().set_result((number, due))
            else:
                self.waiting.append((number, due))
        if len(self.waiting) > MOST_WAITING:
            self.is_paused = True
            self.transport.pause_reading()

    def connection_lost(self, error):
        self.ended.set_result(None)
        self.release_idle()

    def release_idle(self):
        while self.idle:
            self.idle.popleft().set_result(None)

    async def take(self):
        """Number and due time of the next arrival; `None` when there are no more."""
        if self.waiting:
            if self.is_paused and len(self.waiting) * 2 < MOST_WAITING:
                self.resume()
            return self.waiting.popleft()
        if self.is_cut or self.ended.done():
            return None
        idle = self.loop.create_future()
        self.idle.append(idle)
        return await idle

    def resume(self):
        self.is_paused = False
        self.transport.resume_reading()

    def cut(self):
        """No more arrivals are started. Those in the FIFO are still read."""
        self.is_cut = True
        for _, due in self.waiting:
            self.phase.leave(due)
        self.waiting.clear()
        if self.is_paused:
            self.resume()
        self.release_idle()


async def run_session(phase, arrivals, operate, session, index):
    """Two clock reads around each operation, as under closed load."""
    turn = 0
    while (arrival := await arrivals.take()) is not None:
        op, due = arrival
        phase.in_flight[index] = due
        failure = None
        start = clock()
        try:
            await operate(session, op)
        except Exception as error:
            failure = error
        phase.ended(index, due, start, clock(), failure)
        # With arrivals waiting, an operation that never waits would never return to the loop.
        turn += 1
        if turn & 127 == 0:
            await asyncio.sleep(0)


def seconds_until(time_ns):
    return max(time_ns - clock(), 0) / 1e9


async def run_open(phase, operate, sessions):
    phase.open()
    file = os.fdopen(phase.file, "rb", buffering=0)
    _, arrivals = await asyncio.get_running_loop().connect_read_pipe(lambda: Arrivals(phase), file)
    tasks = [
        asyncio.create_task(run_session(phase, arrivals, operate, session, index))
        for index, session in enumerate(sessions)
    ]
    _, running = await asyncio.wait(tasks, timeout=seconds_until(phase.cut))
    if running:
        arrivals.cut()
        await asyncio.wait([*running, arrivals.ended], timeout=seconds_until(phase.given_up))
    phase.give_up()
    running = [task for task in tasks if not task.done()]
    for task in running:
        task.cancel()
    if running:
        await asyncio.wait(running, timeout=1)
    for task in tasks:
        if task.done() and not task.cancelled():
            task.result()
