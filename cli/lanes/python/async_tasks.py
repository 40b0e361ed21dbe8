"""Workloads of tasks, queues, computations and child processes under an event loop."""

import asyncio
import subprocess
import time

import content
import frame
from async_frame import Workload, gathered
from content import Peak


async def wait(wait_ns):
    begun = frame.clock()
    await asyncio.sleep(wait_ns / 1e9)
    return frame.clock() - begun


class Null(Workload):
    async def operate(self, session, op):
        pass


class Scripted(Workload):
    async def prepare(self):
        self.script = content.Script(self.round)

    async def operate(self, session, op):
        self.script.play(op)


class Spawn(Workload):
    async def operate(self, session, op):
        async def task():
            return op

        content.exactly(op, await asyncio.create_task(task()), "as the result of a task")


class Tasks(Workload):
    async def prepare(self):
        self.waits_ns = content.waits_ns(self.round)

    async def operate(self, session, op):
        if self.params.get("at_once", True):
            lasted = await asyncio.gather(*(wait(wait_ns) for wait_ns in self.waits_ns))
        else:
            lasted = [await wait(wait_ns) for wait_ns in self.waits_ns]
        content.check_waits(self.waits_ns, lasted)


class Timers(Workload):
    async def operate(self, session, op):
        wait_ns = content.wait_ns(self.round, op)
        due = frame.clock() + wait_ns
        await asyncio.sleep(wait_ns / 1e9)
        self.round.observe("timer_overshoot", content.check_due(due))


class AsCompleted(Workload):
    async def prepare(self):
        self.waits_ns = content.waits_ns(self.round)

    async def operate(self, session, op):
        async def complete(number):
            content.no_shorter(self.waits_ns[number], await wait(self.waits_ns[number]), "a wait")
            return number

        begun = frame.clock()
        tasks = [complete(number) for number in range(len(self.waits_ns))]
        came = [await done for done in asyncio.as_completed(tasks)]
        content.check_completed(self, came, frame.clock() - begun)


class FirstCompleted(Workload):
    cancelled = 0

    async def operate(self, session, op):
        cleaned_up = set()

        async def race(number):
            try:
                await asyncio.sleep(self.round.unit_ns * (number + 1) / 1e9)
            finally:
                cleaned_up.add(number)

        begun = frame.clock()
        racers = [asyncio.create_task(race(number)) for number in range(2)]
        done, pending = await asyncio.wait(racers, return_when=asyncio.FIRST_COMPLETED)
        content.no_shorter(self.round.unit_ns, frame.clock() - begun, "the race")
        for loser in pending:
            loser.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
        cancelled = sum(task.cancelled() for task in pending)
        content.exactly({0, 1}, cleaned_up, "as racers that have cleaned up")
        content.exactly(len(pending), cancelled, "cancelled losers")
        self.cancelled += cancelled
        self.round.number("losers_cancelled", cancelled)

    def violations(self, totals):
        return content.never_cancelled(totals, self.cancelled)


class Failures(Workload):
    async def operate(self, session, op):
        async def work(number):
            await asyncio.sleep(self.round.unit_ns / 1e9)
            return content.failing(number)

        begun = frame.clock()
        outcomes = await asyncio.gather(*(work(number) for number in range(3)), return_exceptions=True)
        content.check_outcomes(outcomes)
        content.no_shorter(self.round.unit_ns, frame.clock() - begun, "all tasks together")


class Counters(Workload):
    async def operate(self, session, op):
        ticks = content.Ticks(self.round)

        async def count(counter):
            begun = frame.clock()
            for number in (1, 2, 3):
                await asyncio.sleep(self.round.unit_ns / 1e9)
                begun = ticks.write(counter, number, begun)

        await gathered(count(counter) for counter in range(3))
        ticks.check()


class Batch(Workload):
    async def operate(self, session, op):
        board = content.Board(self.round)

        async def work(item):
            with board.running:
                await asyncio.sleep(self.round.unit_ns / 1e9)
                board.done.append(item)

        for batch in board.batches():
            begun = frame.clock()
            await gathered(work(item) for item in batch)
            board.batch_ended(batch, frame.clock() - begun)
        board.check()


class JobQueue(Workload):
    async def operate(self, session, op):
        jobs = content.Jobs(self.round)
        queue = asyncio.Queue(maxsize=self.params["capacity"])
        semaphore = asyncio.Semaphore(self.params["limit"])

        async def produce(numbers):
            for number in numbers:
                begun = frame.clock()
                await queue.put(number)
                jobs.sent(begun)

        async def consume():
            while True:
                number = await queue.get()
                async with semaphore:
                    with jobs.running:
                        jobs.check_work(await wait(jobs.work_ns))
                    jobs.finished(number)
                queue.task_done()

        consumers = [asyncio.create_task(consume()) for _ in range(self.params["consumers"])]
        try:
            producing = gathered(produce(numbers) for numbers in jobs.of_producers())
            # A consumer ends only by an error.
            ended, _ = await asyncio.wait(
                [asyncio.create_task(self.all_done(producing, queue)), *consumers], return_when=asyncio.FIRST_COMPLETED
            )
            for task in ended:
                task.result()
        finally:
            for consumer in consumers:
                consumer.cancel()
            await asyncio.gather(*consumers, return_exceptions=True)
        jobs.check()

    @staticmethod
    async def all_done(producing, queue):
        await producing
        await queue.join()


class CpuOffload(Workload):
    """Sums of squares on the executor, or on the loop itself, while another task wants to be woken."""

    async def prepare(self):
        self.squares = self.params["squares"]
        self.blocking_calls = len(self.squares)

    async def operate(self, session, op):
        repeats = self.params["repeats"]

        async def add(count):
            if self.params.get("offload", True):
                return await self.round.executor.call(content.sum_of_squares, count, repeats)
            return content.sum_of_squares(count, repeats)

        bystander = content.Bystander(self.round, frame.clock(), 1_000_000, 5)
        sums = await gathered([*(add(count) for count in self.squares), stand_by(bystander)])
        content.check_sums(self.squares, sums[:-1])


class BlockingMistake(Workload):
    blocking_calls = 1

    async def operate(self, session, op):
        how = self.params.get("how", "blocking")
        start = frame.clock()
        due = start + self.round.unit_ns

        async def wait_until():
            if how == "blocking":
                block_until(due)
            elif how == "offloaded":
                await self.round.executor.call(block_until, due)
            else:
                await asyncio.sleep(max(due - frame.clock(), 0) / 1e9)
            content.check_due(due)

        bystander = content.Bystander(self.round, start, self.round.unit_ns // 10, 10)
        await gathered([wait_until(), stand_by(bystander)])


def block_until(due):
    time.sleep(max(due - frame.clock(), 0) / 1e9)


async def stand_by(bystander):
    for due in bystander.dues:
        await asyncio.sleep(max(due - frame.clock(), 0) / 1e9)
        bystander.woke(due)
    bystander.done()


class ForgottenAwait(Workload):
    """Coroutines that are dropped, tasks that nobody awaits, and tasks that are awaited."""

    def __init__(self, round_):
        super().__init__(round_)
        self.parts = content.Parts(round_)
        self.tasks = set()

    async def operate(self, session, op):
        mine = []

        async def part():
            await asyncio.sleep(0)
            mine.append(op)
            self.parts.ran()

        coroutines = [part() for _ in range(self.params["parts"])]
        handling = self.params.get("handling", "forgotten")
        if handling == "forgotten":
            # As if dropped, without a warning for each on the standard error.
            for coroutine in coroutines:
                coroutine.close()
        else:
            tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]
            # The loop itself holds tasks weakly: one that nobody keeps may vanish before it ran.
            self.tasks.update(tasks)
            for task in tasks:
                task.add_done_callback(self.tasks.discard)
            if handling == "joined":
                await gathered(tasks)
        self.parts.ended(len(mine))

    async def finish(self, totals):
        await asyncio.gather(*self.tasks)
        return self.parts.violations(totals)


class Process(Workload):
    async def operate(self, session, op):
        await gathered([self.talk(op), self.kill()])

    async def talk(self, op):
        child = await asyncio.create_subprocess_exec(
            *content.talking(op), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
        )
        said, _ = await child.communicate()
        content.check_talk(op, child.pid, child.returncode, said)

    async def kill(self):
        deadline_ns = round(self.params["deadline"] * self.round.unit_ns)
        child = await asyncio.create_subprocess_exec(*content.SLEEPING, stdin=subprocess.DEVNULL)
        try:
            content.no_shorter(deadline_ns, await wait(deadline_ns), "the life of a child to be killed")
        finally:
            child.kill()
            await child.wait()
        content.check_killed(child.pid, child.returncode)


WORKLOADS = {
    "null": Null,
    "scripted": Scripted,
    "spawn": Spawn,
    "tasks": Tasks,
    "timers": Timers,
    "as-completed": AsCompleted,
    "first-completed": FirstCompleted,
    "failures": Failures,
    "counters": Counters,
    "batch": Batch,
    "job-queue": JobQueue,
    "cpu-offload": CpuOffload,
    "blocking-mistake": BlockingMistake,
    "forgotten-await": ForgottenAwait,
    "process": Process,
}
