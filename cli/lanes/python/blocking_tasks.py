"""Workloads of tasks, queues, computations and child processes in blocking code."""

import queue
import subprocess
import threading
import time

import content
import frame
from blocking_frame import AtOnce, InTurn, Workload
from content import Peak


def wait(wait_ns):
    begun = frame.clock()
    time.sleep(wait_ns / 1e9)
    return frame.clock() - begun


class Null(Workload):
    def operate(self, session, op):
        pass


class Scripted(Workload):
    def prepare(self):
        self.script = content.Script(self.round)

    def operate(self, session, op):
        self.script.play(op)


class Spawn(Workload):
    """A task that is called: in one thread there is nothing to start."""

    def operate(self, session, op):
        content.exactly(op, task(op), "as the result of a task")


class SpawnThread(Workload):
    """A thread for each task."""

    def operate(self, session, op):
        results = []
        thread = threading.Thread(target=lambda: results.append(task(op)))
        thread.start()
        thread.join()
        content.exactly([op], results, "as the result of a task")


def task(op):
    return op


class Tasks(AtOnce):
    def prepare(self):
        self.waits_ns = content.waits_ns(self.round)
        self.calls = len(self.waits_ns)

    def open(self):
        return super().open() if self.params.get("at_once", True) else InTurn(1)

    def operate(self, session, op):
        lasted = session([(wait, wait_ns) for wait_ns in self.waits_ns])
        content.check_waits(self.waits_ns, lasted)


class Timers(Workload):
    def operate(self, session, op):
        wait_ns = content.wait_ns(self.round, op)
        due = frame.clock() + wait_ns
        time.sleep(wait_ns / 1e9)
        self.round.observe("timer_overshoot", content.check_due(due))


class AsCompleted(AtOnce):
    def prepare(self):
        self.waits_ns = content.waits_ns(self.round)
        self.calls = len(self.waits_ns)

    def operate(self, session, op):
        def complete(number):
            content.no_shorter(self.waits_ns[number], wait(self.waits_ns[number]), "a wait")
            return number

        begun = frame.clock()
        came = list(session.completed([(complete, number) for number in range(self.calls)]))
        content.check_completed(self, came, frame.clock() - begun)


class Failures(AtOnce):
    calls = 3

    def operate(self, session, op):
        def work(number):
            time.sleep(self.round.unit_ns / 1e9)
            return content.failing(number)

        begun = frame.clock()
        content.check_outcomes(session.outcomes([(work, number) for number in range(3)]))
        content.no_shorter(self.round.unit_ns, frame.clock() - begun, "all tasks together")


class Counters(AtOnce):
    calls = 3

    def operate(self, session, op):
        ticks = content.Ticks(self.round)

        def count(counter):
            begun = frame.clock()
            for number in (1, 2, 3):
                time.sleep(self.round.unit_ns / 1e9)
                begun = ticks.write(counter, number, begun)

        session([(count, counter) for counter in range(3)])
        ticks.check()


class Batch(AtOnce):
    def prepare(self):
        self.calls = self.params["size"]

    def operate(self, session, op):
        board = content.Board(self.round)

        def work(item):
            with board.running:
                time.sleep(self.round.unit_ns / 1e9)
                board.done.append(item)

        for batch in board.batches():
            begun = frame.clock()
            session([(work, item) for item in batch])
            board.batch_ended(batch, frame.clock() - begun)
        board.check()


class JobQueue(AtOnce):
    def prepare(self):
        self.calls = self.params["producers"] + self.params["consumers"]

    def operate(self, session, op):
        jobs = content.Jobs(self.round)
        places = queue.Queue(maxsize=self.params["capacity"])
        semaphore = threading.Semaphore(self.params["limit"])
        producing = threading.Barrier(self.params["producers"])

        def produce(numbers):
            for number in numbers:
                begun = frame.clock()
                places.put(number)
                jobs.sent(begun)
            # The last one to get here sends the consumers home.
            if producing.wait() == 0:
                for _ in range(self.params["consumers"]):
                    places.put(None)

        def consume():
            while (number := places.get()) is not None:
                with semaphore:
                    with jobs.running:
                        jobs.check_work(wait(jobs.work_ns))
                    jobs.finished(number)

        consumers = [(consume,)] * self.params["consumers"]
        session([*consumers, *((produce, numbers) for numbers in jobs.of_producers())])
        jobs.check()


class CpuOffload(AtOnce):
    """Sums of squares on threads, while another thread wants to be woken; in one thread there is nothing to offload to."""

    def prepare(self):
        self.squares = self.params["squares"]
        self.calls = len(self.squares) + 1

    def operate(self, session, op):
        bystander = content.Bystander(self.round, frame.clock(), 1_000_000, 5)
        sums = [(content.sum_of_squares, count, self.params["repeats"]) for count in self.squares]
        results = session([*sums, (stand_by, bystander)])
        content.check_sums(self.squares, results[:-1])


class BlockingMistake(AtOnce):
    calls = 2

    def operate(self, session, op):
        start = frame.clock()
        due = start + self.round.unit_ns

        def wait_until():
            time.sleep(max(due - frame.clock(), 0) / 1e9)
            content.check_due(due)

        bystander = content.Bystander(self.round, start, self.round.unit_ns // 10, 10)
        session([(wait_until,), (stand_by, bystander)])


def stand_by(bystander):
    for due in bystander.dues:
        time.sleep(max(due - frame.clock(), 0) / 1e9)
        bystander.woke(due)
    bystander.done()


class ForgottenAwait(Workload):
    """Threads that are never started, threads that nobody joins, and threads that are joined."""

    def __init__(self, round_):
        super().__init__(round_)
        self.parts = content.Parts(round_)
        self.threads = []

    def operate(self, session, op):
        mine = []

        def part():
            time.sleep(0)
            mine.append(op)
            self.parts.ran()

        threads = [threading.Thread(target=part) for _ in range(self.params["parts"])]
        handling = self.params.get("handling", "forgotten")
        if handling != "forgotten":
            for thread in threads:
                thread.start()
        if handling == "joined":
            for thread in threads:
                thread.join()
        elif handling == "spawned":
            self.threads = [thread for thread in self.threads if thread.is_alive()] + threads
        self.parts.ended(len(mine))

    def finish(self, totals):
        for thread in self.threads:
            thread.join()
        return self.parts.violations(totals)


class Process(AtOnce):
    calls = 2

    def operate(self, session, op):
        session([(self.talk, op), (self.kill,)])

    def talk(self, op):
        child = subprocess.Popen(content.talking(op), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        said, _ = child.communicate()
        content.check_talk(op, child.pid, child.returncode, said)

    def kill(self):
        deadline_ns = round(self.params["deadline"] * self.round.unit_ns)
        child = subprocess.Popen(content.SLEEPING, stdin=subprocess.DEVNULL)
        try:
            content.no_shorter(deadline_ns, wait(deadline_ns), "the life of a child to be killed")
        finally:
            child.kill()
            child.wait()
        content.check_killed(child.pid, child.returncode)


IN_TURN = {
    "null": Null,
    "scripted": Scripted,
    "spawn": Spawn,
    "tasks": Tasks,
    "timers": Timers,
    "as-completed": AsCompleted,
    "failures": Failures,
    "counters": Counters,
    "batch": Batch,
    "cpu-offload": CpuOffload,
    "blocking-mistake": BlockingMistake,
    "process": Process,
}

# Parts that wait for each other, or that nobody waits for, need threads, and a task has one if there are any.
AT_ONCE = {"job-queue": JobQueue, "forgotten-await": ForgottenAwait, "spawn": SpawnThread}
